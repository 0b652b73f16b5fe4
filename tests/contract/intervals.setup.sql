-- cdc.interval: interval as value, key, absent value and default (arrays of it are left out).
CREATE TABLE i_values (id int PRIMARY KEY, v interval, v0 interval(0), v3 interval(3), d interval day to second, y interval year);
CREATE TABLE i_key (k interval PRIMARY KEY, v int);
CREATE TABLE i_absent (id int PRIMARY KEY, v interval NOT NULL, n interval);
CREATE TABLE i_defaults (id int PRIMARY KEY, v interval NOT NULL DEFAULT '1 day', w interval NOT NULL DEFAULT '1 year 2 mons 3 days 04:05:06.78', c interval NOT NULL DEFAULT make_interval(1));
CREATE TABLE i_nullable (id int PRIMARY KEY, n interval DEFAULT '2 hours');
CREATE TABLE i_arrays (id int PRIMARY KEY, a interval[], v text);
