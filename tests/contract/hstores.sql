INSERT INTO h_values VALUES (1, 'key=>val', 'd=>1'), (2, 'a=>NULL', 'a=>NULL'), (3, '', ''), (4, '"q\"uote"=>"q\"uote, and => \\ "', NULL), (5, '"Zoë"=>"漢 😀
line"', NULL), (6, '"c d"=>"e,f=>g"', NULL), (7, '""=>""', NULL), (8, '"NULL"=>"NULL"', NULL), (9, '"{a}"=>"[1]"', NULL), (10, E'"tab\tbell\x07"=>"x"', NULL), (11, 'a=>1, b=>2, c=>NULL', NULL);
INSERT INTO h_values VALUES (12);
UPDATE h_values SET h = 'a=>2' WHERE id = 1;
INSERT INTO h_arrays VALUES (1, ARRAY['a=>1', 'b=>NULL', '', NULL]::hstore[]), (2, '{}');
INSERT INTO h_arrays VALUES (3);
INSERT INTO h_absent VALUES (1, 'a=>1', '{}', 'a=>1');
UPDATE h_absent SET id = 2;
DELETE FROM h_absent;
INSERT INTO h_defaults (id) VALUES (1);
DELETE FROM h_defaults;
INSERT INTO h_toast VALUES (1, 1, hstore('k', repeat('h', 3000)), array_fill(hstore('k', 'v'), ARRAY[500]));
UPDATE h_toast SET v = 2;
UPDATE h_toast SET id = 2;
INSERT INTO h_toast_full VALUES (1, 1, hstore('k', repeat('h', 3000)));
UPDATE h_toast_full SET v = 2;
DELETE FROM h_toast_full;
