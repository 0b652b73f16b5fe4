-- Message keys of configured columns, in every identity that has their old values.
CREATE TABLE public.k_full (id int PRIMARY KEY, a text NOT NULL, b text, c int);
ALTER TABLE public.k_full REPLICA IDENTITY FULL;
CREATE TABLE public.k_index (id int PRIMARY KEY, a text NOT NULL, b text NOT NULL, c int);
CREATE UNIQUE INDEX k_index_identity ON public.k_index (id, b, a);
ALTER TABLE public.k_index REPLICA IDENTITY USING INDEX k_index_identity;
CREATE TABLE public.k_part (id int, x int, y int, PRIMARY KEY (id, x));
CREATE TABLE public.k_keyless (a text, b text, c int);
ALTER TABLE public.k_keyless REPLICA IDENTITY FULL;
CREATE TABLE public.k_toast (id int PRIMARY KEY, a text, b int);
ALTER TABLE public.k_toast ALTER a SET STORAGE EXTERNAL;
ALTER TABLE public.k_toast REPLICA IDENTITY FULL;
CREATE TABLE public.k_types (id int PRIMARY KEY, n bigint, at timestamptz, u uuid, f real);
ALTER TABLE public.k_types REPLICA IDENTITY FULL;
