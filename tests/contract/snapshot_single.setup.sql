-- One row in all: it is the last one.
CREATE TABLE ss_rows (id int PRIMARY KEY);
INSERT INTO ss_rows VALUES (1);
