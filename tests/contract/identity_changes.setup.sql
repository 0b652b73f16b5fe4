-- Replica identities with and without a key: what before, keys and tombstones are.
CREATE TABLE public.i_default (id int PRIMARY KEY, v text, big text, n int NOT NULL DEFAULT 7);
ALTER TABLE public.i_default ALTER big SET STORAGE EXTERNAL;
CREATE TABLE public.i_two (b int, a int, v text, big text NOT NULL, PRIMARY KEY (a, b));
ALTER TABLE public.i_two ALTER big SET STORAGE EXTERNAL;
CREATE TABLE public.i_full (id int PRIMARY KEY, v text, big text, n int NOT NULL DEFAULT 7);
ALTER TABLE public.i_full ALTER big SET STORAGE EXTERNAL;
ALTER TABLE public.i_full REPLICA IDENTITY FULL;
CREATE TABLE public.i_index (id int PRIMARY KEY, u int NOT NULL, v text, big text, UNIQUE (u, id));
ALTER TABLE public.i_index ALTER big SET STORAGE EXTERNAL;
ALTER TABLE public.i_index REPLICA IDENTITY USING INDEX i_index_u_id_key;
CREATE TABLE public.i_full_keyless (id int, v text, big text);
ALTER TABLE public.i_full_keyless ALTER big SET STORAGE EXTERNAL;
ALTER TABLE public.i_full_keyless REPLICA IDENTITY FULL;
CREATE TABLE public.i_index_keyless (id int NOT NULL UNIQUE, v text, big text, n int NOT NULL);
ALTER TABLE public.i_index_keyless ALTER big SET STORAGE EXTERNAL;
ALTER TABLE public.i_index_keyless REPLICA IDENTITY USING INDEX i_index_keyless_id_key;
