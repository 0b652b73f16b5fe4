-- Columns that are masked, hashed, cut, left out: of each type that has one, in every identity.
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE public.mood AS ENUM ('sad', 'happy');
CREATE DOMAIN public.remark AS text;
CREATE TABLE public.c_masked (id int PRIMARY KEY, t text, required text NOT NULL DEFAULT 'dflt', bare text NOT NULL, v varchar(5), c char(6),
    d public.remark, m public.mood, vb varchar, n int);
CREATE TABLE public.c_emptied (LIKE public.c_masked INCLUDING ALL);
CREATE TABLE public.c_hashed (LIKE public.c_masked INCLUDING ALL);
CREATE TABLE public.c_cut (LIKE public.c_masked INCLUDING ALL, ci citext, b bytea, br bytea NOT NULL);
CREATE TABLE public.c_left_out (id int PRIMARY KEY, a text, b text NOT NULL DEFAULT 'q', c int);
CREATE TABLE public.c_shown (id int PRIMARY KEY, a text, b text NOT NULL DEFAULT 'q', c int);
CREATE TABLE public.c_full (id int PRIMARY KEY, a text, b text, c text, e text);
ALTER TABLE public.c_full REPLICA IDENTITY FULL;
CREATE TABLE public.c_toast (id int PRIMARY KEY, a text, b text, c text, d bytea, e text);
ALTER TABLE public.c_toast ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL, ALTER d SET STORAGE EXTERNAL;
CREATE TABLE public.c_toast_full (LIKE public.c_toast INCLUDING ALL);
ALTER TABLE public.c_toast_full REPLICA IDENTITY FULL;
CREATE TABLE public.c_keyless (a text, b text, c text);
ALTER TABLE public.c_keyless REPLICA IDENTITY FULL;
