-- Kinds of events, replica identities, what the WAL does not carry.
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE k_plain (id int PRIMARY KEY, v text);
CREATE TABLE k_fillers (id int PRIMARY KEY, t text NOT NULL, v varchar(9) NOT NULL, c char(3) NOT NULL, b bool NOT NULL, s int2 NOT NULL, i int NOT NULL, l int8 NOT NULL, r real NOT NULL,
    d double precision NOT NULL, n numeric NOT NULL, p numeric(5, 2) NOT NULL, m money NOT NULL, u uuid NOT NULL, j json NOT NULL, jb jsonb NOT NULL, x xml NOT NULL, e mood NOT NULL,
    by bytea NOT NULL, da date NOT NULL, ti time NOT NULL, t3 time(3) NOT NULL, tz timetz NOT NULL, ts timestamp NOT NULL, ts3 timestamp(3) NOT NULL, tstz timestamptz NOT NULL, iv interval NOT NULL,
    ip inet NOT NULL, ra int4range NOT NULL, b1 bit NOT NULL, b5 bit(5) NOT NULL, po point NOT NULL, ia int[] NOT NULL, ta text[] NOT NULL, h hstore NOT NULL, o oid NOT NULL, nullable text);
CREATE TABLE k_defaults (id int PRIMARY KEY, t text NOT NULL DEFAULT 'text', i int NOT NULL DEFAULT -5, b bool NOT NULL DEFAULT true, n numeric(5, 2) NOT NULL DEFAULT 1.5,
    ts timestamp NOT NULL DEFAULT '2020-01-01', tstz timestamptz NOT NULL DEFAULT now(), s bigint NOT NULL DEFAULT length('abc'), e mood NOT NULL DEFAULT 'ok', d date NOT NULL DEFAULT '2020-01-01',
    by bytea NOT NULL DEFAULT '\x01', j jsonb NOT NULL DEFAULT '{"a": 1}', u uuid NOT NULL DEFAULT gen_random_uuid(), r real NOT NULL DEFAULT 2.5, serial serial);
CREATE TABLE k_full (id int PRIMARY KEY, v text, big text);
ALTER TABLE k_full REPLICA IDENTITY FULL;
ALTER TABLE k_full ALTER big SET STORAGE EXTERNAL;
CREATE TABLE k_toast (id int PRIMARY KEY, v int, t text, vc varchar, c char(3000), j json, jb jsonb, x xml, by bytea, n numeric, ia int[], la bigint[], ta text[], va varchar[], ua uuid[], da date[], ba bytea[], h hstore, b bit varying, sa smallint[], ja json[], fa float8[], jba jsonb[], ca char(9)[], cia citext[], tsa timestamp[], tza timestamptz[], na numeric[], ea mood[], oa oid[], ga bool[], nul text);
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY '{t,vc,c,j,jb,x,by,n,ia,la,ta,va,ua,da,ba,h,b,sa,ja,fa,jba,ca,cia,tsa,tza,na,ea,oa,ga}'::text[] LOOP
        EXECUTE format('ALTER TABLE k_toast ALTER %I SET STORAGE EXTERNAL', name);
    END LOOP;
END $$;
CREATE TABLE k_index (id int PRIMARY KEY, code text NOT NULL, v text);
CREATE UNIQUE INDEX k_index_both ON k_index (id, code);
ALTER TABLE k_index REPLICA IDENTITY USING INDEX k_index_both;
CREATE TABLE k_composite (v text, b int, a int, PRIMARY KEY (a, b));
CREATE TABLE k_truncated (id int PRIMARY KEY);
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."T 1 it's" ("I d" int PRIMARY KEY, "sel""ect" text, "a.b" int, "CamelCase" text);
CREATE TABLE k_generated (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE k_toasted_key (k text PRIMARY KEY, v int);
ALTER TABLE k_toasted_key ALTER k SET STORAGE EXTERNAL;
