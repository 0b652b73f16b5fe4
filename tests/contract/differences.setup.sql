-- Where Keyshift is right and Debezium is not: docs/debezium.md names each.
CREATE EXTENSION hstore;
CREATE TABLE d_null_default (id int PRIMARY KEY, v text DEFAULT 'dflt', n int DEFAULT 5);
CREATE TABLE d_column_name (id int PRIMARY KEY, "ünï" text);
CREATE TABLE d_nested (id int PRIMARY KEY, a int[], t text[]);
CREATE TABLE d_name (id int PRIMARY KEY, n name);
CREATE TABLE d_quoted_default (id int PRIMARY KEY, t text NOT NULL DEFAULT 'te''xt');
CREATE TABLE "d_""quoted""" (id int PRIMARY KEY, v text);
CREATE TABLE "d_größer" (id int PRIMARY KEY, v text);
CREATE TABLE d_negative_scale (id int PRIMARY KEY, n numeric(5, -2));
CREATE TABLE d_float_digits (id int PRIMARY KEY, r real, d double precision);
CREATE TABLE d_bit_array (id int PRIMARY KEY, b bit(3)[]);
CREATE TABLE d_time_array (id int PRIMARY KEY, t time[]);
CREATE TABLE d_hstore_order (id int PRIMARY KEY, h hstore);
CREATE TABLE d_partial_index (a int NOT NULL, b int);
CREATE UNIQUE INDEX d_partial_index_a ON d_partial_index (a) WHERE b > 0;
ALTER TABLE d_partial_index REPLICA IDENTITY FULL;
CREATE TABLE d_nullable_unique (a int UNIQUE, v text);
ALTER TABLE d_nullable_unique REPLICA IDENTITY FULL;
