-- cdc.time: every type of date and time as value, array, key, absent value, default and unchanged TOAST value.
CREATE DOMAIN moment AS timestamp(3);
CREATE TABLE m_dates (id int PRIMARY KEY, d date);
CREATE TABLE m_times (id int PRIMARY KEY, t time, t0 time(0), t3 time(3), t4 time(4), t6 time(6), z timetz, z0 timetz(0), z3 timetz(3));
CREATE TABLE m_timestamps (id int PRIMARY KEY, t timestamp, t0 timestamp(0), t3 timestamp(3), t4 timestamp(4), t6 timestamp(6), m moment);
CREATE TABLE m_zoned (id int PRIMARY KEY, z timestamptz, z0 timestamptz(0), z3 timestamptz(3), z6 timestamptz(6));
CREATE TABLE m_arrays (id int PRIMARY KEY, d date[], t time[], t3 time(3)[], tz timetz[], ts timestamp[], ts3 timestamp(3)[], tstz timestamptz[], tstz3 timestamptz(3)[]);
CREATE TABLE m_key_date (k date PRIMARY KEY, v int);
CREATE TABLE m_key_time (k time PRIMARY KEY, v int);
CREATE TABLE m_key_time3 (k time(3) PRIMARY KEY, v int);
CREATE TABLE m_key_timetz (k timetz PRIMARY KEY, v int);
CREATE TABLE m_key_timestamp (k timestamp PRIMARY KEY, v int);
CREATE TABLE m_key_timestamp3 (k timestamp(3) PRIMARY KEY, v int);
CREATE TABLE m_key_zoned (k timestamptz PRIMARY KEY, v int);
CREATE TABLE m_absent (id int PRIMARY KEY, d date NOT NULL, t time NOT NULL, t3 time(3) NOT NULL, tz timetz NOT NULL, ts timestamp NOT NULL, ts3 timestamp(3) NOT NULL, tstz timestamptz NOT NULL, tstz3 timestamptz(3) NOT NULL,
    da date[] NOT NULL, ta time[] NOT NULL, tsa timestamp[] NOT NULL, tza timestamptz[] NOT NULL);
CREATE TABLE m_constants (id int PRIMARY KEY, d date NOT NULL DEFAULT '2020-01-01', t time NOT NULL DEFAULT '01:02:03.000004', t3 time(3) NOT NULL DEFAULT '01:02:03.004', tz timetz NOT NULL DEFAULT '01:02:03+00',
    ts timestamp NOT NULL DEFAULT '2020-01-01 01:02:03.000004', ts3 timestamp(3) NOT NULL DEFAULT '2020-01-01 01:02:03.004', tstz timestamptz NOT NULL DEFAULT '2020-01-01 01:02:03.000004+00', tstz3 timestamptz(3) NOT NULL DEFAULT '2020-01-01 01:02:03.004+00');
CREATE TABLE m_nullable (id int PRIMARY KEY, d date DEFAULT '1969-12-31', t time DEFAULT '23:59:59', ts timestamp DEFAULT '1969-12-31 23:59:59.5', tz timestamptz DEFAULT '1969-12-31 23:59:59.5+00', cts timestamp DEFAULT now(), ctz timestamptz DEFAULT now() + interval '1 day');
CREATE TABLE m_calls (id int PRIMARY KEY, d date NOT NULL DEFAULT current_date, t time NOT NULL DEFAULT localtime, t3 time(3) NOT NULL DEFAULT localtime(3), ts timestamp NOT NULL DEFAULT localtimestamp, ts3 timestamp(3) NOT NULL DEFAULT localtimestamp(3),
    tstz timestamptz NOT NULL DEFAULT now(), tstz3 timestamptz(3) NOT NULL DEFAULT clock_timestamp(), tz timetz NOT NULL DEFAULT current_time);
CREATE TABLE m_toast (id int PRIMARY KEY, v int, d date[], t time[], t3 time(3)[], tz timetz[], ts timestamp[], tstz timestamptz[]);
ALTER TABLE m_toast ALTER d SET STORAGE EXTERNAL, ALTER t SET STORAGE EXTERNAL, ALTER t3 SET STORAGE EXTERNAL, ALTER tz SET STORAGE EXTERNAL, ALTER ts SET STORAGE EXTERNAL, ALTER tstz SET STORAGE EXTERNAL;
