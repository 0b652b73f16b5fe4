-- Keyshift refuses to capture these two as they are now; who changes them later has inserts only.
ALTER TABLE ri_nothing REPLICA IDENTITY NOTHING;
ALTER TABLE ri_keyless_insert_only REPLICA IDENTITY DEFAULT;
DO $$ DECLARE form text; BEGIN
    FOREACH form IN ARRAY '{default,full,index,nothing}'::text[] LOOP
        EXECUTE format('INSERT INTO ri_%s SELECT i, i * 10, ''n'', ''r'', repeat(''t'', 3000), json_build_object(''a'', repeat(''j'', 3000)), jsonb_build_object(''a'', repeat(''b'', 3000)), (''<a>'' || repeat(''x'', 3000) || ''</a>'')::xml, repeat(''v'', 3000), ''c'', decode(repeat(''ab'', 3000), ''hex''),
            repeat(''7'', 3000)::numeric, array_fill(''t''::text, ARRAY[500]), array_fill(1, ARRAY[700]), array_fill(1::bigint, ARRAY[400]), array_fill(''00000000-0000-0000-0000-0000000000ff''::uuid, ARRAY[200]), array_fill(''\x01''::bytea, ARRAY[500]), repeat(''10'', 10000)::varbit FROM generate_series(1, 2) i', form);
    END LOOP;
END $$;
UPDATE ri_default SET n = 'm';
UPDATE ri_full SET n = 'm';
UPDATE ri_index SET n = 'm';
UPDATE ri_default SET t = 'short', jb = NULL WHERE id = 1;
UPDATE ri_full SET t = 'short', jb = NULL WHERE id = 1;
UPDATE ri_index SET t = 'short', jb = NULL WHERE id = 1;
UPDATE ri_index SET code = 11 WHERE id = 1;
UPDATE ri_default SET id = 3 WHERE id = 1;
UPDATE ri_full SET id = 3 WHERE id = 1;
UPDATE ri_index SET id = 3 WHERE id = 1;
DELETE FROM ri_default;
DELETE FROM ri_full;
DELETE FROM ri_index;
INSERT INTO ri_keyless VALUES (1, repeat('t', 3000)), (1, NULL);
UPDATE ri_keyless SET a = 2 WHERE t IS NOT NULL;
DELETE FROM ri_keyless WHERE t IS NULL;
INSERT INTO ri_keyless_insert_only VALUES (1, 'a'), (NULL, NULL);
