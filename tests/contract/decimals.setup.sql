-- cdc.decimal: numeric and money as value, array, key, absent value, default and unchanged TOAST value.
CREATE DOMAIN price AS numeric(6, 2);
CREATE TABLE c_numerics (id int PRIMARY KEY, n numeric, p numeric(10, 2), z numeric(4, 0), w numeric(38, 10), f numeric(3, 5), d price);
CREATE TABLE c_money (id int PRIMARY KEY, m money);
CREATE TABLE c_arrays (id int PRIMARY KEY, n numeric[], p numeric(10, 2)[], w numeric(38, 0)[]);
CREATE TABLE c_key (k numeric(8, 3) PRIMARY KEY, v int);
CREATE TABLE c_key_any (k numeric PRIMARY KEY, v int);
CREATE TABLE c_absent (id int PRIMARY KEY, n numeric NOT NULL, p numeric(10, 2) NOT NULL, z numeric(4, 0) NOT NULL, m money NOT NULL, a numeric[] NOT NULL, o numeric);
CREATE TABLE c_defaults (id int PRIMARY KEY, n numeric NOT NULL DEFAULT 12.50, p numeric(10, 2) NOT NULL DEFAULT -1.5, z numeric(4, 0) NOT NULL DEFAULT 7, m money NOT NULL DEFAULT '1.50', c numeric(10, 2) NOT NULL DEFAULT round(1.5), e numeric(10, 2) NOT NULL DEFAULT 1.5 * 2);
CREATE TABLE c_nullable (id int PRIMARY KEY, o numeric(10, 2) DEFAULT 3, n numeric DEFAULT 2.5);
CREATE TABLE c_toast (id int PRIMARY KEY, v int, n numeric, a numeric[]);
ALTER TABLE c_toast ALTER n SET STORAGE EXTERNAL, ALTER a SET STORAGE EXTERNAL;
