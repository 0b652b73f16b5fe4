-- Routing functions and reject triggers of a node. Run after node.sql; idempotent. The functions whose bodies hold compiled
-- facts (must_own, owned_<hash>) are written by keyshift.internal_compile_routing and keyshift.internal_compile_ownership.
-- Every name is qualified: these run under the search_path of any caller.

CREATE OR REPLACE FUNCTION keyshift.internal_owned_name(group_name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'owned_' || pg_catalog.substr(pg_catalog.md5(group_name), 1, 16);

-- The one place that words KS001: the owner's address comes from local_placement.
CREATE OR REPLACE FUNCTION keyshift.internal_raise_moved(moved_group text, moved_bucket int) RETURNS boolean
LANGUAGE plpgsql STABLE AS $body$
DECLARE
    owner keyshift.local_placement;
BEGIN
    SELECT * INTO owner FROM keyshift.local_placement p WHERE p.group_name = moved_group AND p.bucket = moved_bucket;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'KS001',
            MESSAGE = pg_catalog.format('bucket %s of %s is not on this node, and its owner is not known here', moved_bucket, moved_group),
            HINT = 'Ask `keyshift route` or the catalog; `keyshift doctor` says why this node''s copy of the placement is incomplete.';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'KS001',
        MESSAGE = pg_catalog.format('bucket %s of %s moved to node %s (epoch %s)', moved_bucket, moved_group, owner.node, owner.epoch),
        DETAIL = (SELECT pg_catalog.row_to_json(r) FROM (SELECT moved_group AS "group", moved_bucket AS bucket, owner.node, owner.host,
                                                                owner.port, owner.dbname, owner.epoch) r)::text,
        HINT = pg_catalog.format('Repeat the transaction on node %s (%s:%s, database %s) and refresh the placement map.',
                                 owner.node, owner.host, owner.port, owner.dbname);
END $body$;

-- Arguments of both: group, bucket, the mover's token ('' : nobody passes).
CREATE OR REPLACE FUNCTION keyshift.reject() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_ARGV[2] <> '' AND pg_catalog.current_setting('keyshift.mover', true) = TG_ARGV[2] THEN
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END IF;
    PERFORM keyshift.internal_raise_moved(TG_ARGV[0], TG_ARGV[1]::int);
    RETURN NULL;
END $body$;
CREATE OR REPLACE FUNCTION keyshift.reject_truncate() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_ARGV[2] = '' OR pg_catalog.current_setting('keyshift.mover', true) IS DISTINCT FROM TG_ARGV[2] THEN
        PERFORM keyshift.internal_raise_moved(TG_ARGV[0], TG_ARGV[1]::int);
    END IF;
    RETURN NULL;
END $body$;

-- A copy of a reference table takes writes from the session that keeps it alone. Argument: that session's token.
CREATE OR REPLACE FUNCTION keyshift.reject_reference() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    name text := pg_catalog.format('%s.%s', TG_TABLE_SCHEMA, TG_TABLE_NAME);
    home record;
BEGIN
    IF pg_catalog.current_setting('keyshift.mover', true) IS NOT DISTINCT FROM TG_ARGV[0] THEN
        RETURN NULL;
    END IF;
    SELECT r.home AS node, r.host, r.port, r.dbname INTO home FROM keyshift.local_reference r WHERE r.root = TG_RELID;
    RAISE EXCEPTION USING ERRCODE = 'KS001',
        MESSAGE = pg_catalog.format('reference table %s is written on node %s', name, home.node),
        DETAIL = (SELECT pg_catalog.row_to_json(r) FROM (SELECT name AS "table", home.node, home.host, home.port, home.dbname) r)::text,
        HINT = pg_catalog.format('Repeat the transaction on node %s (%s:%s, database %s); every node''s copy follows.',
                                 home.node, home.host, home.port, home.dbname);
END $body$;

-- Row of local_table for a table or a projection's view.
CREATE OR REPLACE FUNCTION keyshift.internal_table(wanted regclass) RETURNS keyshift.local_table LANGUAGE plpgsql STABLE AS $body$
DECLARE
    entry keyshift.local_table;
BEGIN
    SELECT * INTO entry FROM keyshift.local_table t WHERE t.root = wanted OR t.alias = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42P01',
            MESSAGE = pg_catalog.format('%s is not a distributed table or projection of this node', wanted),
            HINT = '`keyshift table list` names the distributed tables.';
    END IF;
    RETURN entry;
END $body$;

-- "user_id uuid, tenant bigint": what a message names as the expected key.
CREATE OR REPLACE FUNCTION keyshift.internal_expected_key(entry keyshift.local_table) RETURNS text LANGUAGE sql STABLE
RETURN (SELECT pg_catalog.string_agg(k.name || ' ' || k.type, ', ' ORDER BY k.position)
        FROM ROWS FROM (pg_catalog.unnest(entry.key_columns), pg_catalog.unnest(entry.key_types)) WITH ORDINALITY AS k(name, type, position));

-- SQL expression of one key column's 64-bit hash as hash partitioning takes it, for a value given as an SQL expression of
-- the type `given`; NULL where this type's hash is not computed here. The date and timestamptz forms hold on 15-18, whose
-- functions have other names but the same bits.
CREATE OR REPLACE FUNCTION keyshift.internal_hash_expression(key_type text, given text, value text) RETURNS text
LANGUAGE sql IMMUTABLE RETURN CASE
    WHEN key_type = 'uuid' AND given IN ('uuid', 'text')
        THEN pg_catalog.format('pg_catalog.uuid_hash_extended(%s::pg_catalog.uuid, 8816678312871386365)', value)
    WHEN key_type IN ('bigint', 'integer', 'smallint') AND given IN ('bigint', 'integer', 'smallint')
        THEN pg_catalog.format('pg_catalog.hashint8extended(%s::pg_catalog.int8, 8816678312871386365)', value)
    WHEN key_type IN ('bigint', 'integer', 'smallint') AND given = 'text'
        THEN pg_catalog.format('pg_catalog.hashint8extended(%s::%s::pg_catalog.int8, 8816678312871386365)', value, key_type)
    WHEN key_type IN ('text', 'character varying') AND given = 'text'
        THEN pg_catalog.format('pg_catalog.hashtextextended(%s COLLATE pg_catalog."C", 8816678312871386365)', value)
    WHEN key_type = 'date' AND given IN ('date', 'text')
        THEN pg_catalog.format('pg_catalog.hashint4extended(CASE WHEN pg_catalog.isfinite(%1$s::pg_catalog.date) THEN %1$s::pg_catalog.date - pg_catalog.date ''2000-01-01'' '
             'WHEN %1$s::pg_catalog.date > pg_catalog.date ''2000-01-01'' THEN 2147483647 ELSE ''-2147483648''::int END, 8816678312871386365)', value)
    WHEN key_type = 'timestamp with time zone' AND given IN ('timestamp with time zone', 'text')
        THEN pg_catalog.format('pg_catalog.timestamp_hash_extended(%s::pg_catalog.timestamptz AT TIME ZONE ''UTC'', 8816678312871386365)', value)
END;

-- Low 53 bits of the row hash, combined as hash_combine64 does (its a << 54 touches higher bits only). Each column costs
-- seven exact bits, so four columns leave 32: enough for 4096 buckets.
CREATE OR REPLACE FUNCTION keyshift.internal_combine(hashes bigint[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $body$
DECLARE
    combined bigint := 0;
    hash bigint;
BEGIN
    FOREACH hash IN ARRAY hashes LOOP
        combined := combined # (((hash & 9007199254740991) + (5305509591434766563 & 9007199254740991) + (combined >> 7)) & 9007199254740991);
    END LOOP;
    RETURN combined;
END $body$;

DROP FUNCTION IF EXISTS keyshift.internal_bucket_expression(keyshift.local_table, text[], text[]);
-- Expression of a key's slot, its hash modulo 4096, for given types and value expressions; NULL where the server must be
-- asked. Buckets are unions of slots: no split changes what is computed.
CREATE OR REPLACE FUNCTION keyshift.internal_slot_expression(entry keyshift.local_table, given text[], given_values text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $body$
DECLARE
    parts text[] := '{}';
    part text;
BEGIN
    IF pg_catalog.cardinality(entry.key_types) > 4 THEN
        RETURN NULL;
    END IF;
    FOR i IN 1 .. pg_catalog.cardinality(entry.key_types) LOOP
        part := keyshift.internal_hash_expression(entry.key_types[i], given[i], given_values[i]);
        IF part IS NULL THEN
            RETURN NULL;
        END IF;
        parts := parts || part;
    END LOOP;
    IF pg_catalog.cardinality(parts) = 1 THEN
        RETURN pg_catalog.format('(((%s & 4095) + (5305509591434766563 & 4095)) & 4095)::int', parts[1]);
    END IF;
    RETURN pg_catalog.format('(keyshift.internal_combine(ARRAY[%s]) & 4095)::int', pg_catalog.array_to_string(parts, ', '));
END $body$;

-- The bucket that a slot lies in. A number exists from the split at its highest bit on, so of the remainders that the slot
-- has at each modulus the greatest that is a bucket is the one; below the first modulus all are.
CREATE OR REPLACE FUNCTION keyshift.internal_bucket_at(wanted text, first_modulus int, slot int) RETURNS int LANGUAGE sql STABLE
RETURN (SELECT coalesce(pg_catalog.max(b.bucket), slot & (first_modulus - 1)) FROM keyshift.local_bucket b
        WHERE b.group_name = wanted AND b.bucket IN (slot & 1, slot & 3, slot & 7, slot & 15, slot & 31, slot & 63, slot & 127, slot & 255,
                                                     slot & 511, slot & 1023, slot & 2047, slot & 4095)
          AND b.bucket >= first_modulus);

-- At which modulus the bucket's number is its keys' remainder: doubled by each split, which made bucket + modulus.
CREATE OR REPLACE FUNCTION keyshift.internal_modulus(wanted text, first_modulus int, of_bucket int) RETURNS int LANGUAGE sql STABLE
RETURN (SELECT pg_catalog.min(1 << i) FROM pg_catalog.generate_series(0, 12) i
        WHERE 1 << i >= first_modulus AND 1 << i > of_bucket
          AND NOT EXISTS (SELECT FROM keyshift.local_bucket b WHERE b.group_name = wanted AND b.bucket = of_bucket + (1 << i)));

CREATE OR REPLACE FUNCTION keyshift.internal_check_key(entry keyshift.local_table, key text[]) RETURNS void LANGUAGE plpgsql STABLE AS $body$
BEGIN
    IF pg_catalog.cardinality(key) <> pg_catalog.cardinality(entry.key_columns) THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = pg_catalog.format('the key of %s has %s column(s), but %s value(s) were given', entry.root,
                                        pg_catalog.cardinality(entry.key_columns), pg_catalog.cardinality(key)),
            HINT = pg_catalog.format('Expected key: (%s).', keyshift.internal_expected_key(entry));
    END IF;
END $body$;

-- Any key type: satisfies_hash_partition is asked bucket by bucket, each at its modulus.
CREATE OR REPLACE FUNCTION keyshift.internal_bucket_asked(entry keyshift.local_table, key text[]) RETURNS int LANGUAGE plpgsql STABLE AS $body$
DECLARE
    arguments text;
    bucket int;
BEGIN
    SELECT pg_catalog.string_agg(pg_catalog.format('%L::%s', key[k.position], pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.position)
        INTO arguments
        FROM pg_catalog.unnest(entry.key_columns) WITH ORDINALITY AS k(name, position)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = entry.root AND a.attname = k.name;
    EXECUTE pg_catalog.format('SELECT b.bucket FROM keyshift.local_bucket b WHERE b.group_name = %1$L AND pg_catalog.satisfies_hash_partition('
                              '%2$s::oid, keyshift.internal_modulus(%1$L, %3$s, b.bucket), b.bucket, %4$s)',
                              entry.group_name, entry.root::oid, entry.buckets, arguments) INTO bucket;
    RETURN bucket;
END $body$;

-- Names the key that was expected when a value does not read as its type.
CREATE OR REPLACE FUNCTION keyshift.bucket_of("table" regclass, VARIADIC key text[]) RETURNS int LANGUAGE plpgsql STABLE AS $body$
DECLARE
    entry keyshift.local_table := keyshift.internal_table("table");
    expression text;
    slot int;
    why text;
BEGIN
    PERFORM keyshift.internal_check_key(entry, key);
    IF pg_catalog.array_position(key, NULL) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    -- A single key of a common type needs no dynamic SQL.
    IF pg_catalog.cardinality(key) = 1 THEN
        CASE entry.key_types[1]
            WHEN 'uuid' THEN
                slot := (((pg_catalog.uuid_hash_extended(key[1]::uuid, 8816678312871386365) & 4095) + (5305509591434766563 & 4095)) & 4095)::int;
            WHEN 'bigint' THEN
                slot := (((pg_catalog.hashint8extended(key[1]::bigint, 8816678312871386365) & 4095) + (5305509591434766563 & 4095)) & 4095)::int;
            WHEN 'integer' THEN
                slot := (((pg_catalog.hashint4extended(key[1]::int, 8816678312871386365) & 4095) + (5305509591434766563 & 4095)) & 4095)::int;
            WHEN 'text' THEN
                slot := (((pg_catalog.hashtextextended(key[1] COLLATE "C", 8816678312871386365) & 4095) + (5305509591434766563 & 4095)) & 4095)::int;
            ELSE
                slot := NULL;
        END CASE;
        IF slot IS NOT NULL THEN
            RETURN keyshift.internal_bucket_at(entry.group_name, entry.buckets, slot);
        END IF;
    END IF;
    SELECT keyshift.internal_slot_expression(entry, pg_catalog.array_agg('text'::text), pg_catalog.array_agg(pg_catalog.format('$1[%s]', i)))
        INTO expression FROM pg_catalog.generate_series(1, pg_catalog.cardinality(key)) i;
    IF expression IS NULL THEN
        RETURN keyshift.internal_bucket_asked(entry, key);
    END IF;
    EXECUTE 'SELECT ' || expression INTO slot USING key;
    RETURN keyshift.internal_bucket_at(entry.group_name, entry.buckets, slot);
EXCEPTION WHEN data_exception THEN
    GET STACKED DIAGNOSTICS why = MESSAGE_TEXT;
    IF why LIKE 'the key of %' THEN
        RAISE;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('no key of %s: %s', entry.root, why),
        HINT = pg_catalog.format('Expected key: (%s).', keyshift.internal_expected_key(entry));
END $body$;

CREATE OR REPLACE FUNCTION keyshift.node_of("table" regclass, VARIADIC key text[]) RETURNS text LANGUAGE plpgsql STABLE AS $body$
DECLARE
    entry keyshift.local_table := keyshift.internal_table("table");
BEGIN
    RETURN (SELECT p.node FROM keyshift.local_placement p
            WHERE p.group_name = entry.group_name AND p.bucket = keyshift.bucket_of("table", VARIADIC key));
END $body$;

CREATE OR REPLACE FUNCTION keyshift.owns("table" regclass, VARIADIC key text[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
DECLARE
    entry keyshift.local_table := keyshift.internal_table("table");
BEGIN
    RETURN EXISTS (SELECT FROM keyshift.local_bucket b WHERE b.group_name = entry.group_name AND b.state = 'open'
                   AND b.bucket = keyshift.bucket_of("table", VARIADIC key));
END $body$;

-- must_own was asked with a key that does not fit the table. Never returns.
CREATE OR REPLACE FUNCTION keyshift.internal_raise_key("table" regclass, given text) RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
DECLARE
    entry keyshift.local_table := keyshift.internal_table("table");
BEGIN
    RAISE EXCEPTION USING ERRCODE = '22023',
        MESSAGE = pg_catalog.format('the key of %s is not (%s)', entry.root, given),
        HINT = pg_catalog.format('Expected key: (%s).', keyshift.internal_expected_key(entry));
END $body$;

-- Writes owned_<hash>(bucket) of a group from local_bucket; it takes a slot as well, and a bucket's number is one of its slots.
-- Slots at the finest modulus of the group: which are open (a byte each) and the xids of their opens stand in the body. Bodies
-- are written one after another under the lock, so a snapshot that sees the writer of this one sees every open before it: one
-- check is enough for most calls. Runs in the transaction of fence and open, and so within the write block.
CREATE OR REPLACE FUNCTION keyshift.internal_compile_ownership(wanted text) RETURNS void LANGUAGE plpgsql SET jit = off AS $compile$
DECLARE
    bits text; xids text; first_modulus int; finest int;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('keyshift owned ' || wanted));
    first_modulus := coalesce((SELECT pg_catalog.max(t.buckets) FROM keyshift.local_table t WHERE t.group_name = wanted), 1);
    finest := first_modulus;
    WHILE finest <= (SELECT pg_catalog.max(b.bucket) FROM keyshift.local_bucket b WHERE b.group_name = wanted) LOOP
        finest := finest * 2;
    END LOOP;
    SELECT pg_catalog.string_agg(CASE WHEN b.state = 'open' THEN '01' ELSE '00' END, '' ORDER BY n.slot),
           pg_catalog.string_agg(CASE WHEN b.state = 'open' THEN coalesce(b.open_xid::text, '0') ELSE '0' END, ',' ORDER BY n.slot)
        INTO bits, xids
        FROM pg_catalog.generate_series(0, finest - 1) AS n(slot)
        LEFT JOIN (SELECT DISTINCT ON (of.slot) of.slot, of_bucket.state, of_bucket.open_xid FROM keyshift.local_bucket of_bucket,
                       -- as it was made; what later splits took of it has the greater numbers
                       pg_catalog.generate_series(of_bucket.bucket, finest - 1, greatest(first_modulus,
                           1 << pg_catalog.length(pg_catalog.ltrim(of_bucket.bucket::bit(13)::text, '0')))) AS of(slot)
                   WHERE of_bucket.group_name = wanted ORDER BY of.slot, of_bucket.bucket DESC) b USING (slot);
    EXECUTE pg_catalog.format($format$
CREATE OR REPLACE FUNCTION keyshift.%1$I(bucket int) RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $body$
BEGIN
    IF pg_catalog.get_byte(%2$L::pg_catalog.bytea, bucket & %6$s) = 1 THEN
        IF pg_catalog.pg_visible_in_snapshot(%3$L::pg_catalog.xid8, pg_catalog.pg_current_snapshot()) THEN
            RETURN true;
        END IF;
        RETURN keyshift.internal_check_open(%4$L, keyshift.internal_bucket_at(%4$L, %7$s, bucket), (%5$L::pg_catalog.text[])[(bucket & %6$s) + 1]::pg_catalog.xid8);
    END IF;
    RETURN keyshift.internal_raise_moved(%4$L, keyshift.internal_bucket_at(%4$L, %7$s, bucket));
END $body$$format$, keyshift.internal_owned_name(wanted), '\x' || bits, pg_catalog.pg_current_xact_id(), wanted, '{' || xids || '}',
        finest - 1, first_modulus);
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION keyshift.%I(int) TO PUBLIC', keyshift.internal_owned_name(wanted));
END $compile$;

-- A snapshot taken before the bucket was opened here sees this node without the bucket's rows: the transaction must begin anew.
CREATE OR REPLACE FUNCTION keyshift.internal_check_open(opened_group text, opened_bucket int, opened_by xid8) RETURNS boolean
LANGUAGE plpgsql STABLE AS $body$
BEGIN
    IF opened_by = '0'::xid8 OR pg_catalog.pg_visible_in_snapshot(opened_by, pg_catalog.pg_current_snapshot())
        OR opened_by IS NOT DISTINCT FROM pg_catalog.pg_current_xact_id_if_assigned() THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '40001',
        MESSAGE = pg_catalog.format('bucket %s of %s was opened on this node after this transaction''s snapshot was taken', opened_bucket, opened_group),
        HINT = 'Repeat the transaction.';
END $body$;

-- Writes must_own for every common type from local_table. The tables' OIDs stand in the body: no table is read per call.
CREATE OR REPLACE FUNCTION keyshift.internal_compile_routing() RETURNS void LANGUAGE plpgsql AS $compile$
DECLARE
    given text;
    branches text;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('keyshift routing'));
    FOREACH given IN ARRAY ARRAY['uuid', 'bigint', 'integer', 'smallint', 'text', 'date', 'timestamp with time zone'] LOOP
        SELECT coalesce(pg_catalog.string_agg(pg_catalog.format(
                   E'    IF "table" IN (%s) THEN\n        RETURN keyshift.%I(%s);\n    END IF;\n',
                   t.root::oid || coalesce(', ' || t.alias::oid, ''), keyshift.internal_owned_name(t.group_name),
                   coalesce(keyshift.internal_slot_expression(t, ARRAY[given], ARRAY['key']),
                            'keyshift.internal_bucket_asked(keyshift.internal_table("table"), ARRAY[key::text])')), '' ORDER BY t.root), '')
            INTO branches
            FROM keyshift.local_table t
            WHERE pg_catalog.cardinality(t.key_columns) = 1
              AND (given = 'text' OR keyshift.internal_slot_expression(t, ARRAY[given], ARRAY['key']) IS NOT NULL);
        EXECUTE pg_catalog.format($format$
CREATE OR REPLACE FUNCTION keyshift.must_own("table" regclass, key %1$s) RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $body$
BEGIN
%2$s    RETURN keyshift.internal_raise_key("table", %3$L);
END $body$$format$, given, branches, given);
    END LOOP;
    SELECT coalesce(pg_catalog.string_agg(pg_catalog.format(
               E'    IF "table" IN (%s) THEN\n        RETURN keyshift.%I(keyshift.bucket_of("table", VARIADIC key));\n    END IF;\n',
               t.root::oid || coalesce(', ' || t.alias::oid, ''), keyshift.internal_owned_name(t.group_name)), '' ORDER BY t.root), '')
        INTO branches FROM keyshift.local_table t;
    EXECUTE pg_catalog.format($format$
CREATE OR REPLACE FUNCTION keyshift.must_own("table" regclass, VARIADIC key text[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
BEGIN
%s    RETURN keyshift.internal_raise_key("table", 'text[]');
END $body$$format$, branches);
END $compile$;

-- Read your writes. What a write on this node is known by once it is committed: opaque to its holder, "<node>/<LSN>".
CREATE OR REPLACE FUNCTION keyshift.token() RETURNS text LANGUAGE plpgsql VOLATILE AS $body$
BEGIN
    IF pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '25001',
            MESSAGE = 'keyshift.token() was called inside of a transaction that has written: its commit has no place yet',
            HINT = 'Commit first, then call it.';
    END IF;
    RETURN (SELECT i.node FROM keyshift.local_identity i) || '/' || pg_catalog.pg_current_wal_insert_lsn();
END $body$;

-- The table that a member's view reads: its generation that serves.
CREATE OR REPLACE FUNCTION keyshift.internal_read_table(member text) RETURNS text LANGUAGE sql STABLE AS $body$
    SELECT c.relname::text FROM pg_catalog.pg_rewrite w
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> w.ev_class
        JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
        WHERE w.ev_class = pg_catalog.to_regclass('keyshift.' || pg_catalog.quote_ident(member)) LIMIT 1
$body$;

-- Place in WAL up to which a projection, with all that it consists of, shows a node here; NULLs: of something nothing is known.
CREATE OR REPLACE FUNCTION keyshift.internal_shown(wanted regclass, of_node text, OUT lsn pg_lsn, OUT at timestamptz)
LANGUAGE sql VOLATILE AS $body$
    SELECT CASE WHEN pg_catalog.bool_and(m.lsn IS NOT NULL) THEN pg_catalog.min(m.lsn) END, pg_catalog.min(m.at)
        FROM keyshift.local_table t JOIN pg_catalog.pg_class c ON c.oid = t.root CROSS JOIN LATERAL (
            SELECT pg_catalog.min(s.lsn) AS lsn, pg_catalog.min(s.at) AS at
            FROM pg_catalog.unnest(coalesce(t.members, ARRAY[t.group_name])) AS n(name)
            LEFT JOIN keyshift.projection_source s ON s.projection = n.name AND s.node = of_node
                 AND s.generation = pg_catalog.substring(CASE WHEN t.members IS NULL THEN c.relname::text
                                                              ELSE keyshift.internal_read_table(n.name) END, '__g([0-9]+)$')::int
            GROUP BY n.name) m
        WHERE t.alias = wanted OR t.root = wanted
$body$;

-- Returns once the projection on this node shows every write from before the token; raises KS002 with the lag at the timeout.
CREATE OR REPLACE FUNCTION keyshift.wait_for(projection regclass, token text, timeout interval DEFAULT '10 seconds') RETURNS void
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    until timestamptz := pg_catalog.clock_timestamp() + timeout;
    source text := pg_catalog.split_part(token, '/', 1);
    wanted pg_lsn;
    shown record;
BEGIN
    PERFORM keyshift.internal_table(projection);
    IF token !~ '^[a-z][a-z0-9_]*/[0-9A-F]{1,8}/[0-9A-F]{1,8}$' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'this is no token of keyshift.token()',
            HINT = 'Call SELECT keyshift.token() on the node of the write, after its commit.';
    END IF;
    wanted := pg_catalog.substr(token, pg_catalog.length(source) + 2)::pg_lsn;
    LOOP
        SELECT * INTO shown FROM keyshift.internal_shown(projection, source);
        IF shown.lsn >= wanted THEN
            RETURN;
        END IF;
        IF pg_catalog.current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION USING ERRCODE = '25001',
                MESSAGE = pg_catalog.format('the snapshot of this transaction was taken before %s showed the write', projection),
                HINT = 'Call keyshift.wait_for() in a transaction of its own, before BEGIN ISOLATION LEVEL ....';
        END IF;
        IF pg_catalog.clock_timestamp() >= until THEN
            RAISE EXCEPTION USING ERRCODE = 'KS002',
                MESSAGE = CASE WHEN shown.lsn IS NULL
                    THEN pg_catalog.format('%s shows nothing of node %s yet', projection, source)
                    ELSE pg_catalog.format('%s shows node %s up to %s (as of %s s ago); the write is %s bytes of WAL further', projection,
                             source, shown.lsn, pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - shown.at), 3),
                             wanted - shown.lsn) END,
                HINT = pg_catalog.format('`keyshift projection show` tells whether it is being built, paused or behind. Until then read %s''s '
                                         'base table.', projection);
        END IF;
        PERFORM pg_catalog.pg_sleep(0.005);
    END LOOP;
END $body$;

GRANT USAGE ON SCHEMA keyshift TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA keyshift TO PUBLIC;
REVOKE EXECUTE ON FUNCTION keyshift.internal_compile_ownership(text), keyshift.internal_compile_routing() FROM PUBLIC;
GRANT SELECT ON keyshift.local_identity, keyshift.local_table, keyshift.local_placement, keyshift.placement, keyshift.projection_source TO PUBLIC;
GRANT SELECT (root, home, host, port, dbname, state) ON keyshift.local_reference TO PUBLIC;
GRANT SELECT (group_name, bucket, state, epoch, open_lsn, fence_lsn, open_xid) ON keyshift.local_bucket TO PUBLIC;
