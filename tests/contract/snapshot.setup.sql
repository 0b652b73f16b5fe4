-- Rows that are there before anybody captures: r, first, true, last. One table; snapshot_tables has several.
CREATE TABLE sn_rows (id int PRIMARY KEY, t text, n numeric(8, 2), b bytea, ts timestamptz, a int[]);
INSERT INTO sn_rows SELECT i, 'row ' || i, i * 1.25, decode(lpad(to_hex(i), 4, '0'), 'hex'), timestamptz '2020-01-01 00:00+00' + i * interval '1 hour', ARRAY[i, NULL] FROM generate_series(1, 60) i;
INSERT INTO sn_rows VALUES (61);
INSERT INTO sn_rows VALUES (62, repeat('x', 5000), 0, '', 'infinity', '{}');
