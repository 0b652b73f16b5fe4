-- One table a family of types; each row of types.sql is one record.
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine", really', 'größer');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN price AS numeric(6, 2);
CREATE DOMAIN bigger_price AS price CHECK (VALUE > 1);
CREATE DOMAIN label AS varchar(20);
CREATE DOMAIN moment AS timestamp(3);
CREATE TYPE pair AS (a int, b text);

CREATE TABLE t_integers (id int PRIMARY KEY, b bool, s int2, i int4, l int8, o oid);
CREATE TABLE t_floats (id int PRIMARY KEY, r float4, d float8);
CREATE TABLE t_numerics (id int PRIMARY KEY, n numeric, p numeric(10, 2), z numeric(4, 0), w numeric(38, 10), f numeric(3, 5));
CREATE TABLE t_money (id int PRIMARY KEY, m money);
CREATE TABLE t_texts (id int PRIMARY KEY, t text, v varchar, w varchar(10), b char(5), c citext, o "char", u uuid, x xml);
CREATE TABLE t_json (id int PRIMARY KEY, j json, b jsonb);
CREATE TABLE t_enums (id int PRIMARY KEY, m mood);
CREATE TABLE t_bytes (id int PRIMARY KEY, b bytea);
CREATE TABLE t_dates (id int PRIMARY KEY, d date);
CREATE TABLE t_times (id int PRIMARY KEY, t time, t0 time(0), t3 time(3), t4 time(4), t6 time(6), z timetz, z0 timetz(0), z3 timetz(3));
CREATE TABLE t_timestamps (id int PRIMARY KEY, t timestamp, t0 timestamp(0), t3 timestamp(3), t4 timestamp(4), t6 timestamp(6));
CREATE TABLE t_zoned (id int PRIMARY KEY, z timestamptz, z0 timestamptz(0), z3 timestamptz(3), z6 timestamptz(6));
CREATE TABLE t_intervals (id int PRIMARY KEY, v interval);
CREATE TABLE t_network (id int PRIMARY KEY, i inet, c cidr, m macaddr, m8 macaddr8);
CREATE TABLE t_ranges (id int PRIMARY KEY, i int4range, l int8range, n numrange, t tsrange, z tstzrange, d daterange);
CREATE TABLE t_bits (id int PRIMARY KEY, b1 bit, b2 bit(2), b7 bit(7), b64 bit(64), v varbit, v1 varbit(1), v5 varbit(5));
CREATE TABLE t_hstore (id int PRIMARY KEY, h hstore);
CREATE TABLE t_ltree (id int PRIMARY KEY, l ltree);
CREATE TABLE t_points (id int PRIMARY KEY, p point);
CREATE TABLE t_domains (id int PRIMARY KEY, p positive, r price, b bigger_price, l label, m moment);
CREATE TABLE t_arrays (id int PRIMARY KEY, i int[], s smallint[], l bigint[], b bool[], r real[], d double precision[], n numeric(10, 2)[],
                       t text[], v varchar(5)[], c char(4)[], u uuid[], j json[], jb jsonb[], by bytea[], da date[]);
CREATE TABLE t_more_arrays (id int PRIMARY KEY, ti time[], tz timetz[], ts timestamp[], t3 timestamp(3)[], tstz timestamptz[], m mood[],
                            ci citext[], o oid[], nv numeric[], ip inet[], h hstore[], lt ltree[], ir int4range[], dr daterange[], p positive[]);
CREATE TABLE t_other_arrays (id int PRIMARY KEY, a cidr[], b macaddr[], d varbit[], e xml[], f interval[], g money[], h point[],
                             i macaddr8[], j tsrange[], k tstzrange[], l numrange[], m int8range[], n "char"[]);
CREATE TABLE t_left_out (id int PRIMARY KEY, v tsvector, q tsquery, c pair, l pg_lsn, m int4multirange, b box, s lseg, p path, g polygon,
                         o circle, i line, x txid_snapshot, k text);
CREATE TABLE t_key_uuid (k uuid PRIMARY KEY, v int);
CREATE TABLE t_key_text (k text PRIMARY KEY, v int);
CREATE TABLE t_key_numeric (k numeric(8, 3) PRIMARY KEY, v int);
CREATE TABLE t_key_zoned (k timestamptz PRIMARY KEY, v int);
CREATE TABLE t_key_date (k date PRIMARY KEY, v int);
CREATE TABLE t_key_many (v int, c smallint, b text, a bigint, PRIMARY KEY (a, b, c));
