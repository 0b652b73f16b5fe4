INSERT INTO x_values VALUES (1, 'a fat cat:3A', 'fat & cat', '(1,"x ""y""")', '16/B374D848', '{[1,2),[5,7)}', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1))', '((0,0),(1,1),(1,0))', '<(0,0),1>', '{1,2,3}', '10:20:10,14', '10:20:10,14', 'pg_class', '$.a[*]', '[1,5)', 'word', 'kept'),
    (2, '', '!größer', '(,)', '0/0', '{}', '(-1.5,1e10),(-2,0)', '[(0,0),(0,0)]', '[(0,0),(1,1)]', '((0,0))', '<(1,1),0>', '{0,1,0}', '1:1:', '1:1:', 'pg_type', '$', 'empty', '', 'kept too');
INSERT INTO x_values VALUES (3);
UPDATE x_values SET v = 'other' WHERE id = 1;
INSERT INTO x_arrays VALUES (1, '{1.00,NULL}', '{a,b}', '{1 day}', '{101}', '{<a/>}', '{"(1,2)"}', '{"(1,x)"}', '{a}', '{1,2}', '{(1\,1)\,(0\,0)}', '{0/1}', 'kept'), (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', 'kept');
INSERT INTO x_arrays VALUES (3);
INSERT INTO x_absent VALUES (1, 'a', '(1,x)', '(1,1),(0,0)', '{1.00}', 'a');
UPDATE x_absent SET id = 2;
DELETE FROM x_absent;
INSERT INTO x_defaults (id) VALUES (1);
DELETE FROM x_defaults;
INSERT INTO x_toast SELECT 1, 1, string_agg(md5(i::text), ' ')::tsvector, ROW(1, repeat('x', 3000))::pair, array_fill('<a/>'::xml, ARRAY[1000]), array_fill(ROW(1, 'x')::pair, ARRAY[500]), array_fill(1::positive, ARRAY[1000]) FROM generate_series(1, 100) i;
UPDATE x_toast SET v = 2;
UPDATE x_toast SET id = 2;
