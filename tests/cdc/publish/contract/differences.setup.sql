-- Where Keyshift is right and Debezium is not: docs/debezium.md names each.
CREATE TABLE d_null_default (id int PRIMARY KEY, v text DEFAULT 'dflt', n int DEFAULT 5);
CREATE TABLE d_column_name (id int PRIMARY KEY, "ünï" text);
CREATE TABLE d_nested (id int PRIMARY KEY, a int[], t text[]);
CREATE TABLE d_name (id int PRIMARY KEY, n name);
CREATE TABLE d_quoted_default (id int PRIMARY KEY, t text NOT NULL DEFAULT 'te''xt');
CREATE TABLE "d_""quoted""" (id int PRIMARY KEY, v text);
CREATE TABLE "d_größer" (id int PRIMARY KEY, v text);
