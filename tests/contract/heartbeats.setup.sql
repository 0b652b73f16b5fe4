CREATE TABLE hb_rows (id int PRIMARY KEY);
