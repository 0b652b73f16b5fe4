-- Replica identities: what before and after show of a row of which the WAL has a part.
DO $$ DECLARE name text; form text; BEGIN
    FOREACH form IN ARRAY '{default,full,index,nothing}'::text[] LOOP
        EXECUTE format('CREATE TABLE ri_%s (id int PRIMARY KEY, code int NOT NULL, n text, r text NOT NULL, t text, j json, jb jsonb, x xml, v varchar, c char(3000), by bytea, nu numeric, ta text[], ia int[], la bigint[], ua uuid[], ba bytea[], b varbit)', form);
        FOREACH name IN ARRAY '{t,j,jb,x,v,c,by,nu,ta,ia,la,ua,ba,b}'::text[] LOOP
            EXECUTE format('ALTER TABLE ri_%s ALTER %I SET STORAGE EXTERNAL', form, name);
        END LOOP;
    END LOOP;
END $$;
ALTER TABLE ri_full REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX ri_index_both ON ri_index (code, id);
ALTER TABLE ri_index REPLICA IDENTITY USING INDEX ri_index_both;
CREATE TABLE ri_keyless (a int, t text);
ALTER TABLE ri_keyless REPLICA IDENTITY FULL;
ALTER TABLE ri_keyless ALTER t SET STORAGE EXTERNAL;
CREATE TABLE ri_keyless_insert_only (a int, t text);
ALTER TABLE ri_keyless_insert_only REPLICA IDENTITY FULL;
