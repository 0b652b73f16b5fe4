-- cdc.unknown_types: types without a JSON form of their own, as values, arrays, absent values, defaults and unchanged TOAST values.
CREATE TYPE pair AS (a int, b text);
CREATE TYPE tinyrange AS RANGE (subtype = int2);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN words AS tsvector;
CREATE TABLE x_values (id int PRIMARY KEY, v tsvector, q tsquery, c pair, l pg_lsn, m int4multirange, b box, s lseg, p path, g polygon, o circle, i line, x txid_snapshot, y pg_snapshot, r regclass, j jsonpath, t tinyrange, d words, k text);
CREATE TABLE x_arrays (id int PRIMARY KEY, m money[], n name[], v interval[], b varbit[], x xml[], p point[], c pair[], t tsvector[], d positive[], q box[], l pg_lsn[], k text);
CREATE TABLE x_absent (id int PRIMARY KEY, v tsvector NOT NULL, c pair NOT NULL, b box NOT NULL, a money[] NOT NULL, n tsquery);
CREATE TABLE x_defaults (id int PRIMARY KEY, l pg_lsn NOT NULL DEFAULT '0/1', q tsquery NOT NULL DEFAULT 'cat', f tsvector NOT NULL DEFAULT to_tsvector('simple', 'fat'), n tsquery DEFAULT 'dog', m money[] NOT NULL DEFAULT '{1.00}');
CREATE TABLE x_toast (id int PRIMARY KEY, v int, t tsvector, c pair, x xml[], ca pair[], d positive[]);
ALTER TABLE x_toast ALTER t SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL, ALTER x SET STORAGE EXTERNAL, ALTER ca SET STORAGE EXTERNAL, ALTER d SET STORAGE EXTERNAL;
