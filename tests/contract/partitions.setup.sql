-- A partitioned table is one topic (Debezium's publication says so), whatever its leaves; a leaf's key is the root's. Inheritance.
CREATE TABLE pa_list (region text, id int, v text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE pa_list_eu PARTITION OF pa_list FOR VALUES IN ('eu');
CREATE TABLE pa_list_rest PARTITION OF pa_list DEFAULT;
CREATE TABLE pa_range (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE pa_range_1 PARTITION OF pa_range FOR VALUES FROM (0) TO (10);
CREATE TABLE pa_range_2 (v text, id int NOT NULL);
ALTER TABLE pa_range ATTACH PARTITION pa_range_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE pa_hash (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE pa_hash_0 PARTITION OF pa_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE pa_hash_1 PARTITION OF pa_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE pa_parent (id int PRIMARY KEY, v text);
CREATE TABLE pa_child (w text, PRIMARY KEY (id)) INHERITS (pa_parent);
