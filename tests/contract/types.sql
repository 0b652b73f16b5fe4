INSERT INTO t_integers VALUES (1, true, -32768, -2147483648, -9223372036854775808, 0), (2, false, 32767, 2147483647, 9223372036854775807, 4294967295);
INSERT INTO t_integers VALUES (3);
INSERT INTO t_floats VALUES (1, 3.3, 4.44), (2, 3, 100), (3, 'NaN', 'NaN'), (4, 'Infinity', 'Infinity'), (5, '-Infinity', '-Infinity'), (6, '-0', '-0'),
    (7, 16777216, 1e7), (8, 0.001, 0.001), (9, 0.00099, 0.00099), (10, 9999999, 9999999), (11, 3.4028235e38, 1.7976931348623157e308), (12, 1.25e-38, 2.2250738585072014e-308),
    (13, 1e10, 1e21), (14, 123456.789, 123456789.123456789), (15, -1.5e-7, -1.5e-7), (16, 0, 0), (17, 1.0e-5, 1.25e-5);
INSERT INTO t_floats VALUES (18);
INSERT INTO t_numerics VALUES (1, 10.1111, 1.1, 10.11, 22.22, 0.00123), (2, 12300, 0, 0, 0, 0), (3, 0.10, -0.01, -9999, -1234567890123456789012345678.0123456789, -0.00999),
    (4, 99999999999999999999999999999999999999, 99999999.99, 9999, 9999999999999999999999999999.9999999999, 0.00001),
    (5, -128, 1.28, 127, 128, 0.00128), (6, -129, -1.28, -128, -128, -0.00128), (7, 0.000, 327.67, 255, 256, 0.00255),
    (8, -1e40, -327.68, -256, -256, -0.00256), (9, 1e-40, 0.1, 1, 1, 0.00001);
INSERT INTO t_numerics VALUES (12);
INSERT INTO t_numerics VALUES (10, 123456789012345678901234567890.123456789012345678901234567890);
INSERT INTO t_numerics VALUES (11, 'NaN', 'NaN', 'NaN', 'NaN');
INSERT INTO t_numerics VALUES (13, 1e20);
INSERT INTO t_numerics VALUES (14, 18446744073709551615);
INSERT INTO t_numerics VALUES (15, 9223372036854775808);
INSERT INTO t_numerics VALUES (16, -9223372036854775808);
INSERT INTO t_numerics VALUES (17, 1000000000);
INSERT INTO t_numerics VALUES (18, 1000000000000000000000000000);
INSERT INTO t_money VALUES (1, '$1234.56'), (2, '-$1234.11'), (3, 0), (4, '$92,233,720,368,547,758.07'), (5, '-$0.01');
INSERT INTO t_money VALUES (6);
INSERT INTO t_texts VALUES (1, 'plain', 'plain', 'plain', 'ab', 'MiXed', 'c', '00000000-0000-0000-0000-0000000000ff', '<a b="c">d</a>'),
    (2, '', '', '', '', '', '', 'ABCDEF01-2345-6789-abcd-ef0123456789', ''),
    (3, E'quote " backslash \\ slash / tab \t newline \n return \r bell \x07 backspace \x08 form \x0c escape \x1b unit \x1f delete \x7f', 'Zoë', '漢字', 'é', 'ÄÖ', '"', NULL, NULL),
    (4, E'\U0001F600 beyond the plane \U00010FFFF and \u2028 \u2029 \u00A0 \uFEFF', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO t_texts VALUES (5, 'NULL', '{}', 'null');
INSERT INTO t_texts VALUES (6);
INSERT INTO t_json VALUES (1, '{"bar": "baz"}', '{"bar": "baz"}'), (2, '  [1,  2.50, null]', '  [1,  2.50, null]'), (3, 'null', 'null'), (4, '"q\"uote\n"', '"q\"uote\n"'), (5, '{"a":1,"a":2}', '{"a":1,"a":2}');
INSERT INTO t_json VALUES (6);
INSERT INTO t_enums VALUES (1, 'sad'), (2, 'it''s "fine", really'), (3, 'größer');
INSERT INTO t_enums VALUES (4);
INSERT INTO t_bytes VALUES (1, '\x010203'), (2, ''), (3, '\x00'), (4, '\xff00'), (5, '\xdeadbeef'), (6, decode(repeat('ab', 100), 'hex'));
INSERT INTO t_bytes VALUES (7);
INSERT INTO t_dates VALUES (1, '2016-11-04'), (2, '1970-01-01'), (3, '1969-12-31'), (4, '0001-01-01'), (5, '0044-03-15 BC'), (6, '4713-01-01 BC'), (7, '5874897-12-31'), (8, 'infinity'), (9, '-infinity'), (10, '2000-02-29'), (11, '1900-03-01'), (13, '1582-10-10'), (14, '10000-01-01');
INSERT INTO t_dates VALUES (12);
INSERT INTO t_times VALUES (1, '13:51:30.123456', '13:51:30.6', '13:51:30.123456', '13:51:30.123456', '13:51:30.123456', '13:51:30.123789+02', '13:51:30.9+02', '13:51:30.1239+02'),
    (2, '00:00', '00:00', '00:00', '00:00', '00:00', '00:00+00', '00:00+00', '00:00+00'), (3, '24:00', '24:00', '24:00', '24:00', '24:00', '24:00+00', '24:00+00', '24:00+00'),
    (4, '23:59:59.999999', '23:59:59', '23:59:59.999', '23:59:59.9999', '23:59:59.999999', '23:59:59.999999-11:30', '01:00-10', '01:00:00.1+05:45'), (6, '12:00:00.1', '12:00', '12:00:00.010', '12:00:00.1', '12:00:00.000001', '12:00+15:59', '12:00:00+02', '12:00:00.010-03');
INSERT INTO t_times VALUES (5);
INSERT INTO t_timestamps SELECT i, t, t, t, t, t FROM (VALUES (1, timestamp '2016-11-04 13:51:30.123456'), (2, '1970-01-01'), (3, '1936-10-25 22:10:12.608'), (4, '1969-12-31 23:59:59.999999'), (5, '0044-03-15 12:00 BC'), (6, 'infinity'), (7, '-infinity'), (8, NULL),
    (9, '21016-11-04 13:51:30.123456'), (10, '294246-12-31 23:59:59.9'), (11, '4713-01-01 00:00:00.5 BC'), (12, '1969-12-31 23:59:59.9985')) AS v (i, t);
INSERT INTO t_zoned SELECT i, z, z, z, z FROM (VALUES (1, timestamptz '2016-11-04 13:51:30.123456+02'), (2, '1970-01-01 00:00+00'), (3, '1936-10-25 22:10:12.608+00'), (4, '1969-12-31 23:59:59.999999+00'), (5, '0044-03-15 00:00+00 BC'), (6, 'infinity'), (7, '-infinity'), (8, NULL),
    (9, '21016-11-04 13:51:30.123456+07'), (10, '294246-12-31 23:59:59.9+00'), (11, '4713-01-01 00:00:00.5+00 BC'), (12, '2016-01-01 00:00:00.1+00'), (13, '0001-01-01 00:00+00'), (14, '9999-12-31 23:59:59+00'), (15, '10000-01-01 00:00+00'), (16, '0001-12-31 00:00+00 BC')) AS v (i, z);
INSERT INTO t_intervals VALUES (1, 'P1Y2M3DT4H5M6.78S'), (2, '0'), (3, '-1 day'), (4, '-1 month +2 days -03:04:05.000006'), (5, '1 year -1 month'), (6, '100000 hours'), (7, '-10 years'), (8, '1 microsecond'), (10, '1 mon'), (11, '7 mons');
INSERT INTO t_intervals VALUES (9);
INSERT INTO t_network VALUES (1, '192.168.2.0/12', '192.168.100.128/25', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'), (2, '::1', '2001:db8::/32', NULL, NULL);
INSERT INTO t_network VALUES (3, '10.0.0.1');
INSERT INTO t_ranges VALUES (1, '[1000,6000)', '(1,10]', '[5.3,6.3)', '["2019-03-31 15:30:00",infinity)', '["2017-06-05 11:29:12.549426+00",)', '[2019-03-31,infinity)'), (2, 'empty', '(,)', '[,1]', 'empty', '(,"2017-06-05 11:29:12+00"]', '(,2020-01-01)');
INSERT INTO t_ranges VALUES (3);
INSERT INTO t_bits VALUES (1, '1', '11', '1000000', '1000000000000000000000000000000000000000000000000000000000000000', '111011010001000110000001000000001', '1', '10101'),
    (2, '0', '00', '0000001', '0000000000000000000000000000000000000000000000000000000000000001', '', '0', '00000'), (3, NULL, '10', '1000001', NULL, '1', NULL, '1');
INSERT INTO t_bits VALUES (4);
INSERT INTO t_hstore VALUES (1, 'key=>val'), (2, 'a=>NULL, b=>"q\"uote", "c d"=>"e,f=>g"'), (3, ''), (4, '"Zoë"=>"漢 😀
line"');
INSERT INTO t_hstore VALUES (5);
INSERT INTO t_ltree VALUES (1, 'Top.Science.Astronomy'), (2, '');
INSERT INTO t_ltree VALUES (3);
INSERT INTO t_points VALUES (1, '(1,1)'), (2, '(-0.5,1e10)'), (3, '(0,0)');
INSERT INTO t_points VALUES (4);
INSERT INTO t_domains VALUES (1, 7, 1.5, 2.25, 'label', '2016-11-04 13:51:30.123456');
INSERT INTO t_domains VALUES (2);
INSERT INTO t_arrays VALUES
    (1, '{1,2,NULL}', '{1,-2}', '{9223372036854775807}', '{t,f}', '{3.3,NaN}', '{100,1e7}', '{1.1,-22.22}', ARRAY['a', 'b,c', 'd"e', 'f\g', '', 'NULL', NULL, '{x}', ' y '], '{abc,"d e"}', '{ab,"c"}',
        '{00000000-0000-0000-0000-0000000000ff}', ARRAY['{"a": [1, "x"]}', 'null']::json[], ARRAY['{"a": [1, "x"]}', 'null']::jsonb[], ARRAY['\x000102', '\x0304', '']::bytea[], '{2016-11-04,1970-01-01}'),
    (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
INSERT INTO t_arrays VALUES (4, '[0:1]={7,8}');
INSERT INTO t_arrays VALUES (3);
INSERT INTO t_more_arrays VALUES
    (1, '{13:51:30.123,00:00}', '{13:51:30+02}', '{"2016-11-04 13:51:30.123456",infinity}', '{"2016-11-04 13:51:30.123"}', '{"2016-11-04 13:51:30.123456+02"}', ARRAY['sad', 'it''s "fine", really']::mood[],
        '{Aa,NULL}', '{1,4294967295}', '{1.10,12300}', '{192.168.2.0/12}', ARRAY['a=>1'::hstore, 'b=>NULL'::hstore], '{a.b,c}', '{"[1,5)",empty}', '{"[2019-03-31,2019-04-01)"}', '{1,2}'),
    (3, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
INSERT INTO t_more_arrays VALUES (2);
INSERT INTO t_other_arrays VALUES
    (1, '{10.0.0.0/8}', '{08:00:2b:01:02:03}', '{10101}', '{<a/>}', '{1 day}', '{1.00}', '{"(1,2)"}', '{08:00:2b:01:02:03:04:05}', '{empty}', '{empty}', '{"[1,2)"}', '{"[1,2)"}', '{a}');
INSERT INTO t_other_arrays VALUES (2);
INSERT INTO t_left_out VALUES (1, 'a fat cat', 'fat & cat', '(1,x)', '0/1', '{[1,2)}', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1))', '((0,0),(1,1),(1,0))', '<(0,0),1>', '{1,2,3}', '10:20:10,14', 'kept');
INSERT INTO t_key_uuid VALUES ('00000000-0000-0000-0000-0000000000ff', 1);
INSERT INTO t_key_text VALUES ('', 1), (E'a "b" \\ \n', 2), ('漢字', 3);
INSERT INTO t_key_numeric VALUES (0, 1), (-1.5, 2), (12345.678, 3);
INSERT INTO t_key_zoned VALUES ('2016-11-04 13:51:30.5+02', 1);
INSERT INTO t_key_date VALUES ('2016-11-04', 1);
INSERT INTO t_key_many SELECT i, i % 7, 'key ' || i, i * 1000003 FROM generate_series(1, 40) i;
