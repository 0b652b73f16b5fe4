-- Several tables, one after the other: what the first and the last row of each is called, and those of all.
CREATE TABLE st_a (id int PRIMARY KEY);
INSERT INTO st_a VALUES (1), (2), (3);
CREATE TABLE st_b (id int PRIMARY KEY);
CREATE TABLE st_c (id int PRIMARY KEY);
INSERT INTO st_c VALUES (1);
CREATE TABLE st_d (id int PRIMARY KEY);
INSERT INTO st_d VALUES (1), (2);
CREATE TABLE st_e (id int PRIMARY KEY);
INSERT INTO st_e VALUES (1), (2), (3), (4);
CREATE TABLE st_f (id int PRIMARY KEY);
