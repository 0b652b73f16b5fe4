INSERT INTO k_plain VALUES (1, 'one');
UPDATE k_plain SET v = 'two';
UPDATE k_plain SET v = v;
UPDATE k_plain SET v = NULL;
UPDATE k_plain SET id = 2;
UPDATE k_plain SET id = 3, v = 'three';
DELETE FROM k_plain;
INSERT INTO k_plain SELECT i, 'row ' || i FROM generate_series(10, 29) i;
BEGIN;
INSERT INTO k_plain VALUES (40, 'kept');
SAVEPOINT s;
INSERT INTO k_plain VALUES (41, 'rolled back');
ROLLBACK TO s;
INSERT INTO k_plain VALUES (42, 'kept');
UPDATE k_plain SET v = 'again' WHERE id = 40;
DELETE FROM k_plain WHERE id = 42;
INSERT INTO k_plain VALUES (42, 'once more');
UPDATE k_plain SET id = 43 WHERE id = 42;
COMMIT;
BEGIN;
INSERT INTO k_plain VALUES (50, 'rolled back');
ROLLBACK;
DELETE FROM k_plain WHERE id BETWEEN 10 AND 20;

INSERT INTO k_fillers VALUES (1, 't', 'v', 'c', true, 1, 2, 3, 1.5, 2.5, 3.25, 1.5, 1, '00000000-0000-0000-0000-0000000000ff', '{}', '{}', '<a/>', 'ok', '\x01', '2020-01-01', '01:00', '01:00', '01:00+00',
    '2020-01-01', '2020-01-01', '2020-01-01 00:00+00', '1 day', '10.0.0.1', '[1,2)', '1', '10101', '(1,2)', '{1}', '{a}', 'a=>1', 5, 'n');
UPDATE k_fillers SET id = 2;
DELETE FROM k_fillers;
INSERT INTO k_defaults (id, tstz, u) VALUES (1, '2020-01-01 00:00+00', '00000000-0000-0000-0000-0000000000ff');
DELETE FROM k_defaults;

INSERT INTO k_full VALUES (1, 'a', repeat('x', 5000)), (2, NULL, NULL);
UPDATE k_full SET v = 'b' WHERE id = 1;
UPDATE k_full SET v = 'b' WHERE id = 2;
UPDATE k_full SET id = 3 WHERE id = 1;
UPDATE k_full SET big = NULL WHERE id = 3;
DELETE FROM k_full;

INSERT INTO k_toast VALUES (1, 1, repeat('t', 3000), repeat('v', 3000), repeat('c', 3000), json_build_object('a', repeat('j', 3000)), jsonb_build_object('a', repeat('b', 3000)), ('<a>' || repeat('x', 3000) || '</a>')::xml,
    decode(repeat('ab', 3000), 'hex'), repeat('7', 3000)::numeric, array_fill(1, ARRAY[1000]), array_fill(1::bigint, ARRAY[1000]), array_fill('t'::text, ARRAY[1000]), array_fill('v'::varchar, ARRAY[1000]),
    array_fill('00000000-0000-0000-0000-0000000000ff'::uuid, ARRAY[300]), array_fill('2020-01-01'::date, ARRAY[1000]), array_fill('\x01'::bytea, ARRAY[1000]), hstore('k', repeat('h', 3000)), repeat('10', 10000)::varbit,
    array_fill(1::smallint, ARRAY[2000]), array_fill('{}'::json, ARRAY[1000]), array_fill(1.5::float8, ARRAY[500]),
    array_fill('{}'::jsonb, ARRAY[1000]), array_fill('c'::char(9), ARRAY[1000]), array_fill('c'::citext, ARRAY[1000]), array_fill('2020-01-01'::timestamp, ARRAY[1000]), array_fill('2020-01-01 00:00+00'::timestamptz, ARRAY[1000]),
    array_fill(1.5, ARRAY[1000]), array_fill('ok'::mood, ARRAY[1000]), array_fill(1::oid, ARRAY[1000]), array_fill(true, ARRAY[3000]), NULL);
UPDATE k_toast SET v = 2;
UPDATE k_toast SET id = 2;
UPDATE k_toast SET t = 'short', v = 3;
DELETE FROM k_toast;

INSERT INTO k_index VALUES (1, 'a', 'x'), (2, 'b', 'y');
UPDATE k_index SET v = 'z' WHERE id = 1;
UPDATE k_index SET code = 'c' WHERE id = 1;
UPDATE k_index SET id = 5 WHERE id = 2;
DELETE FROM k_index;

INSERT INTO k_composite SELECT 'v' || i, i, i * 7 FROM generate_series(1, 30) i;
UPDATE k_composite SET v = 'w' WHERE b = 3;
UPDATE k_composite SET b = 100 WHERE b = 4;
DELETE FROM k_composite WHERE b < 10;

INSERT INTO k_truncated VALUES (1), (2);
TRUNCATE k_truncated;
INSERT INTO k_truncated VALUES (3);

INSERT INTO "Odd Schema"."T 1 it's" VALUES (1, 'x', 2, 'y');
UPDATE "Odd Schema"."T 1 it's" SET "I d" = 2;
INSERT INTO k_generated VALUES (1, 21);
UPDATE k_generated SET a = 22;
INSERT INTO k_toasted_key SELECT string_agg(md5(i::text), ''), 1 FROM generate_series(1, 80) i;
UPDATE k_toasted_key SET v = 2;
DELETE FROM k_toasted_key;
