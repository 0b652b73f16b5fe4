-- cdc.hstore: hstore as value, array, key part, absent value, default and unchanged TOAST value. One pair a row: Debezium's order
-- of several is that of a Java HashMap.
CREATE EXTENSION hstore;
CREATE DOMAIN labels AS hstore;
CREATE TABLE h_values (id int PRIMARY KEY, h hstore, d labels);
CREATE TABLE h_arrays (id int PRIMARY KEY, h hstore[]);
CREATE TABLE h_absent (id int PRIMARY KEY, h hstore NOT NULL, a hstore[] NOT NULL, n hstore);
CREATE TABLE h_defaults (id int PRIMARY KEY, h hstore NOT NULL DEFAULT 'a=>1', e hstore NOT NULL DEFAULT '', c hstore NOT NULL DEFAULT hstore('b', '2'), n hstore DEFAULT 'c=>3');
CREATE TABLE h_toast (id int PRIMARY KEY, v int, h hstore, a hstore[]);
ALTER TABLE h_toast ALTER h SET STORAGE EXTERNAL, ALTER a SET STORAGE EXTERNAL;
CREATE TABLE h_toast_full (id int PRIMARY KEY, v int, h hstore);
ALTER TABLE h_toast_full ALTER h SET STORAGE EXTERNAL;
ALTER TABLE h_toast_full REPLICA IDENTITY FULL;
