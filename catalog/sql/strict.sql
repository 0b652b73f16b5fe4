-- Strict tables (docs/resharding.md): a row-security policy on the root lets a session read and write only when the map of
-- buckets it goes by is no older than the last move of the group away from this node. Run after functions.sql; idempotent.
-- Version of this node's map: '' counts, a group's row is the count at its last move away. In no publication.
CREATE TABLE IF NOT EXISTS keyshift.local_map (group_name text PRIMARY KEY, version bigint NOT NULL);
INSERT INTO keyshift.local_map VALUES ('', 1) ON CONFLICT DO NOTHING;

-- Called before the map is read: what is read then is at least as new.
CREATE OR REPLACE FUNCTION keyshift.use_map() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    present bigint;
BEGIN
    SELECT m.version INTO present FROM keyshift.local_map m WHERE m.group_name = '';
    PERFORM pg_catalog.set_config('keyshift.map', present::text, false);
    RETURN present;
END $body$;

CREATE OR REPLACE FUNCTION keyshift.internal_guard_name(group_name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'guard_' || pg_catalog.substr(pg_catalog.md5(group_name), 1, 16);

CREATE OR REPLACE FUNCTION keyshift.internal_raise_map(of_group text, needed bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
DECLARE
    used text := nullif(pg_catalog.current_setting('keyshift.map', true), '');
    node text := (SELECT i.node FROM keyshift.local_identity i);
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'KS001',
        MESSAGE = CASE WHEN used IS NULL THEN pg_catalog.format('this session has not said by which map it reads and writes %s', of_group)
                       WHEN used !~ '^[0-9]{1,18}$' THEN pg_catalog.format('keyshift.map is set to ''%s'', which is no map', used)
                       ELSE pg_catalog.format('buckets of %s have left node %s since this session''s map', of_group, node) END,
        DETAIL = pg_catalog.json_build_object('group', of_group, 'map', used, 'needed', needed, 'node', node)::text,
        HINT = 'SELECT keyshift.use_map(), then read keyshift.placement and repeat the transaction on the node that has the bucket. '
               'A session that goes by no map, such as a dump, says so: SET keyshift.map = ''any''.';
END $body$;

-- Writes guard_<hash>() of a group; one check a statement: the planner makes it a one-time filter.
CREATE OR REPLACE FUNCTION keyshift.internal_compile_guard(wanted text) RETURNS void LANGUAGE plpgsql AS $compile$
DECLARE
    needed bigint := coalesce((SELECT m.version FROM keyshift.local_map m WHERE m.group_name = wanted), 1);
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('keyshift guard ' || wanted));
    EXECUTE pg_catalog.format($format$
CREATE OR REPLACE FUNCTION keyshift.%1$I() RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
DECLARE
    used text := nullif(pg_catalog.current_setting('keyshift.map', true), '');
BEGIN
    IF used = 'any' OR (CASE WHEN used ~ '^[0-9]{1,18}$' THEN used::bigint >= %2$s END) THEN
        RETURN true;
    END IF;
    RETURN keyshift.internal_raise_map(%3$L, %2$s);
END $body$$format$, keyshift.internal_guard_name(wanted), needed, wanted);
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION keyshift.%I() TO PUBLIC', keyshift.internal_guard_name(wanted));
END $compile$;

-- In the transaction in which a bucket of the group leaves this node. The counter's row is locked until it ends, so whoever
-- reads the new count sees the bucket gone.
CREATE OR REPLACE FUNCTION keyshift.internal_map_changed(wanted text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    present bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM keyshift.local_table t JOIN pg_catalog.pg_policy p ON p.polrelid = t.root
                   WHERE t.group_name = wanted AND p.polname = 'keyshift_strict') THEN
        RETURN;
    END IF;
    UPDATE keyshift.local_map SET version = version + 1 WHERE group_name = '' RETURNING version INTO present;
    INSERT INTO keyshift.local_map VALUES (wanted, present) ON CONFLICT (group_name) DO UPDATE SET version = excluded.version;
    PERFORM keyshift.internal_compile_guard(wanted);
END $body$;

GRANT EXECUTE ON FUNCTION keyshift.use_map(), keyshift.internal_raise_map(text, bigint) TO PUBLIC;
REVOKE EXECUTE ON FUNCTION keyshift.internal_compile_guard(text), keyshift.internal_map_changed(text) FROM PUBLIC;
GRANT SELECT ON keyshift.local_map TO PUBLIC;
