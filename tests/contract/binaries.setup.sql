-- cdc.binary: bytea as value, array, key, absent value, default and unchanged TOAST value; bit strings stay as they are.
CREATE DOMAIN digest AS bytea CHECK (length(VALUE) < 100);
CREATE TABLE n_bytes (id int PRIMARY KEY, b bytea, d digest);
CREATE TABLE n_arrays (id int PRIMARY KEY, b bytea[]);
CREATE TABLE n_bits (id int PRIMARY KEY, b bit(9), v varbit, o bit);
CREATE TABLE n_key (k bytea PRIMARY KEY, v int);
CREATE TABLE n_absent (id int PRIMARY KEY, b bytea NOT NULL, a bytea[] NOT NULL, n bytea);
CREATE TABLE n_defaults (id int PRIMARY KEY, b bytea NOT NULL DEFAULT '\x01ff', e bytea NOT NULL DEFAULT '', c bytea NOT NULL DEFAULT decode('00', 'hex'), n bytea DEFAULT '\x02');
CREATE TABLE n_toast (id int PRIMARY KEY, v int, b bytea, a bytea[]);
ALTER TABLE n_toast ALTER b SET STORAGE EXTERNAL, ALTER a SET STORAGE EXTERNAL;
CREATE TABLE n_toast_full (id int PRIMARY KEY, v int, b bytea, a bytea[]);
ALTER TABLE n_toast_full ALTER b SET STORAGE EXTERNAL, ALTER a SET STORAGE EXTERNAL;
ALTER TABLE n_toast_full REPLICA IDENTITY FULL;
