INSERT INTO d_null_default VALUES (1, NULL, NULL);
INSERT INTO d_column_name VALUES (1, 'x');
INSERT INTO d_nested VALUES (1, '{{1,2},{3,NULL}}', '{{a,"b,c"},{"{",NULL}}');
INSERT INTO d_name VALUES (1, 'a name');
INSERT INTO d_quoted_default VALUES (1);
DELETE FROM d_quoted_default;
INSERT INTO "d_""quoted""" VALUES (1, 'x');
UPDATE "d_""quoted""" SET id = 2;
INSERT INTO "d_größer" VALUES (1, 'x');
