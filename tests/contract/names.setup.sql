-- Names of tables and columns with everything that ASCII has and topics do not.
CREATE SCHEMA "Sales-2024.x";
CREATE TABLE "Sales-2024.x"."Order" ("ID" int PRIMARY KEY, "select" text, "a b" text, "c.d" text, "e""f" text, "g'h" text, "i\j" text, "k/l" text, "m{n}" text, "_p" text, "q$" text, "1r" text);
CREATE TABLE "na dot.ted" (id int PRIMARY KEY, v text);
CREATE TABLE "na/slash" (id int PRIMARY KEY, v text);
CREATE TABLE "NaCamel" ("Id" int PRIMARY KEY, "Value" text NOT NULL);
CREATE TABLE "na$dollar" (id int PRIMARY KEY, v text);
CREATE TABLE na_abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_0123 (abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_012345678 int PRIMARY KEY, v text);
CREATE TABLE na_reserved (before int PRIMARY KEY, after text, source text, op text, ts_ms text, schema text, payload text);
