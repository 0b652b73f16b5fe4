INSERT INTO i_values SELECT i, v, v, v, v, v FROM (VALUES (1, interval 'P1Y2M3DT4H5M6.78S'), (2, '0'), (3, '-1 day'), (4, '-1 month +2 days -03:04:05.000006'), (5, '1 year -1 month'), (6, '100000 hours'), (7, '-10 years'), (8, '1 microsecond'), (9, '1 mon'), (10, '7 mons'),
    (11, '-00:00:00.5'), (12, '-1 year -2 mons +3 days -04:05:06.789'), (13, '25 hours'), (14, '1 day -1 second'), (15, '00:00:00.100'), (16, '00:00:10'), (17, '-1 microsecond'), (18, '00:01'), (19, '01:00'), (20, '-1 mon 1 day'), (21, '13 mons'), (22, '-13 mons'),
    (23, '59.999999 seconds'), (24, '-59.999999 seconds'), (25, '1 day 00:00:00.000001'), (26, NULL)) AS v (i, v);
INSERT INTO i_values (id, v) VALUES (30, '178000000 years'), (31, '-178000000 years'), (32, '2147483647 days');
INSERT INTO i_key VALUES ('1 day', 1), ('2 mons', 2), ('00:00:00.5', 3);
UPDATE i_key SET k = '3 days' WHERE v = 1;
DELETE FROM i_key WHERE v = 2;
INSERT INTO i_absent VALUES (1, '1 day', '1 day');
UPDATE i_absent SET id = 2;
DELETE FROM i_absent;
INSERT INTO i_defaults (id) VALUES (1);
DELETE FROM i_defaults;
INSERT INTO i_nullable (id) VALUES (1);
INSERT INTO i_arrays VALUES (1, '{1 day}', 'v');
