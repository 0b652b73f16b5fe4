-- The catalog: schema keyshift in one database, the only source of truth about placement, jobs and projections.
-- Version 7 (kCatalogVersion). Run in one transaction by `keyshift init`; idempotent.
CREATE SCHEMA IF NOT EXISTS keyshift;

-- One row a setting that created persistent state: version, cluster, topic_prefix.
CREATE TABLE IF NOT EXISTS keyshift.meta (key text PRIMARY KEY, value text NOT NULL);

CREATE TABLE IF NOT EXISTS keyshift.node (
    name              text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,30}$'),
    dsn               text NOT NULL,                 -- libpq conninfo without password
    password_file     text NOT NULL DEFAULT '',
    host              text NOT NULL, port int NOT NULL, dbname text NOT NULL,  -- what clients are told
    system_identifier text NOT NULL,
    timeline          bigint NOT NULL,
    slot              text NOT NULL,                 -- slot and publication have the same name
    state             text NOT NULL DEFAULT 'active' CHECK (state IN ('adding', 'active', 'draining', 'removed')),
    added_at          timestamptz NOT NULL DEFAULT now()
);

-- By `keyshift cdc pause`: its changes stay in the WAL, kept by the slot.
ALTER TABLE keyshift.node ADD COLUMN IF NOT EXISTS capture_paused boolean NOT NULL DEFAULT false;
-- By `keyshift cdc recover`: changes before this LSN that are in no topic may be missing; snapshots were queued with it.
ALTER TABLE keyshift.node ADD COLUMN IF NOT EXISTS gap_accepted pg_lsn;
-- By `keyshift node set`: its share of what the planner balances, beside the others'; and what its database may grow to.
ALTER TABLE keyshift.node ADD COLUMN IF NOT EXISTS capacity double precision NOT NULL DEFAULT 1;
ALTER TABLE keyshift.node ADD COLUMN IF NOT EXISTS disk_limit bigint;
-- Which of the ranges of a sequence is this node's. Never given twice.
CREATE SEQUENCE IF NOT EXISTS keyshift.node_number MINVALUE 0 START WITH 0;
ALTER TABLE keyshift.node ADD COLUMN IF NOT EXISTS number bigint;
ALTER TABLE keyshift.node ALTER COLUMN number SET DEFAULT pg_catalog.nextval('keyshift.node_number');
UPDATE keyshift.node SET number = DEFAULT WHERE number IS NULL;

-- Co-located tables share buckets and move together. kind 'projection': written by the projection runner only.
CREATE TABLE IF NOT EXISTS keyshift.table_group (
    name         text PRIMARY KEY,                    -- name of the first table, unqualified when in public
    buckets      int NOT NULL CHECK (buckets BETWEEN 1 AND 4096 AND buckets & (buckets - 1) = 0),
    key_types    text[] NOT NULL,                     -- format_type of each key column
    kind         text NOT NULL DEFAULT 'table' CHECK (kind IN ('table', 'projection'))
);

-- Every captured table. A table that is not distributed has group_name NULL, one bucket 0, and lives on `node`.
CREATE TABLE IF NOT EXISTS keyshift.captured_table (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name  text NOT NULL,
    table_name   text NOT NULL,
    group_name   text REFERENCES keyshift.table_group,
    node         text REFERENCES keyshift.node,        -- only where group_name is NULL
    key_columns  text[] NOT NULL DEFAULT '{}',         -- shard key, in key order
    captured     boolean NOT NULL DEFAULT true,        -- false: a projection's table, in no publication
    UNIQUE NULLS NOT DISTINCT (schema_name, table_name, node)
);

-- What its events show: {"include_columns","exclude_columns","mask","hash","truncate","key","where","on_error","columns"},
-- each only where it was set. docs/interface.md, `table capture`.
ALTER TABLE keyshift.captured_table ADD COLUMN IF NOT EXISTS options jsonb NOT NULL DEFAULT '{}';

-- Of the events of a table that is not distributed; raised above its buckets' epochs by `table undistribute`.
ALTER TABLE keyshift.captured_table ADD COLUMN IF NOT EXISTS epoch bigint NOT NULL DEFAULT 1;
-- OIDs of the leaves that `table undistribute` replaces: a stream may read their events later than they are gone.
ALTER TABLE keyshift.captured_table ADD COLUMN IF NOT EXISTS former_leaves bigint[] NOT NULL DEFAULT '{}';

-- Sequences of distributed tables: node `home` takes [first_block * width, (first_block + 1) * width), the others follow.
CREATE TABLE IF NOT EXISTS keyshift.sequence_range (
    schema_name text NOT NULL, sequence_name text NOT NULL,
    width bigint NOT NULL, first_block bigint NOT NULL, home bigint NOT NULL,
    PRIMARY KEY (schema_name, sequence_name)
);

-- True: every other node keeps a full copy of it; `node` is its home, where it is written.
ALTER TABLE keyshift.captured_table ADD COLUMN IF NOT EXISTS reference boolean NOT NULL DEFAULT false;
-- What the daemon sees of each copy; written about once a second. The copy's own state: keyshift.local_reference on its node.
CREATE TABLE IF NOT EXISTS keyshift.reference_copy (
    table_id    bigint NOT NULL REFERENCES keyshift.captured_table ON DELETE CASCADE,
    node        text NOT NULL REFERENCES keyshift.node,
    state       text NOT NULL DEFAULT 'filling' CHECK (state IN ('filling', 'live', 'failed')),
    lag_seconds double precision,
    conflicts   bigint NOT NULL DEFAULT 0,
    error       jsonb,                                  -- {"what","why","next"}: why it is not live, or lags
    at          timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (table_id, node)
);

-- Distributed: sessions that go by an old map of buckets, or by none, are refused (sql/strict.sql).
ALTER TABLE keyshift.captured_table ADD COLUMN IF NOT EXISTS strict boolean NOT NULL DEFAULT false;

-- Who owns a bucket now. A number from table_group.buckets up was made by a split; the numbers say all moduli (docs/adr/0021).
CREATE TABLE IF NOT EXISTS keyshift.bucket (
    group_name text NOT NULL REFERENCES keyshift.table_group ON DELETE CASCADE,
    bucket     int NOT NULL,
    node       text NOT NULL REFERENCES keyshift.node,
    epoch      bigint NOT NULL,
    PRIMARY KEY (group_name, bucket)
);

-- Whose events a bucket's are: node's events with open_lsn <= commit LSN < fence_lsn (or the open_lsn of a later epoch of the
-- same node, after a split) carry this epoch. Never deleted.
CREATE TABLE IF NOT EXISTS keyshift.bucket_history (
    group_name text NOT NULL,
    bucket     int NOT NULL,
    epoch      bigint NOT NULL,
    node       text NOT NULL,
    open_lsn   pg_lsn NOT NULL,
    fence_lsn  pg_lsn,
    PRIMARY KEY (group_name, bucket, epoch)
);

CREATE TABLE IF NOT EXISTS keyshift.job (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL DEFAULT 'reshard',
    state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'done', 'failed', 'cancelled')),
    wanted       text NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause', 'cancel')),
    plan         jsonb NOT NULL DEFAULT '{}',
    requested_by text NOT NULL DEFAULT session_user,
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    error        jsonb                                  -- {"what","why","next"}
);

-- One bucket group changing node. States and what holds in each: docs/invariants.md.
CREATE TABLE IF NOT EXISTS keyshift.move (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job             bigint NOT NULL REFERENCES keyshift.job,
    group_name      text NOT NULL,
    bucket          int NOT NULL,
    donor           text NOT NULL,
    recipient       text NOT NULL,
    state           text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'copying', 'indexing', 'catching_up',
                        'attached', 'fenced', 'switched', 'settling', 'done', 'aborting', 'aborted')),
    epoch           bigint NOT NULL,                    -- the epoch the switch gives (donor's + 1)
    token           text NOT NULL,                      -- random; proves fence and open messages
    owner_epoch     bigint NOT NULL DEFAULT 0,          -- raised by whoever takes the move over
    position        pg_lsn,                             -- the move's own position in the donor's stream
    copy_snapshot   text,                               -- pg_current_snapshot() of the copy
    fence_lsn       pg_lsn,
    open_lsn        pg_lsn,
    rows            bigint NOT NULL DEFAULT 0,
    bytes           bigint NOT NULL DEFAULT 0,
    lag_bytes       bigint NOT NULL DEFAULT 0,
    write_block_ms  double precision,
    verified        boolean NOT NULL DEFAULT false,
    donor_hash      text, recipient_hash text,          -- "count:hash" per table, as compared before the switch
    fence_tries     int NOT NULL DEFAULT 0,
    waiting_for     text,                               -- shown by `reshard explain`
    error           jsonb,
    settle_until    timestamptz,
    started_at      timestamptz, switched_at timestamptz, finished_at timestamptz
);
-- While the move settles: up to here, in the recipient's WAL, the donor's frozen copy has been kept current. NULL: it is not.
ALTER TABLE keyshift.move ADD COLUMN IF NOT EXISTS reverse_position pg_lsn;
-- The settling move of the bucket whose copy this one takes over instead of copying.
ALTER TABLE keyshift.move ADD COLUMN IF NOT EXISTS adopts bigint REFERENCES keyshift.move;
-- No two unfinished moves of one bucket, but for one that is to take over what the other keeps.
CREATE UNIQUE INDEX IF NOT EXISTS move_unfinished ON keyshift.move (group_name, bucket)
    WHERE state NOT IN ('done', 'aborted') AND NOT (adopts IS NOT NULL AND state IN ('planned', 'aborting'));
DROP INDEX IF EXISTS keyshift.move_one_per_bucket;
-- As the plan had it: its size with indexes, and an estimate of its rows. Then what the move is at: since when, how fast.
ALTER TABLE keyshift.move ADD COLUMN IF NOT EXISTS planned_bytes bigint;
ALTER TABLE keyshift.move ADD COLUMN IF NOT EXISTS planned_rows bigint;
ALTER TABLE keyshift.move ADD COLUMN IF NOT EXISTS phase_since timestamptz;
ALTER TABLE keyshift.move ADD COLUMN IF NOT EXISTS bytes_per_second double precision;
ALTER TABLE keyshift.move ADD COLUMN IF NOT EXISTS rows_per_second double precision;

-- Splits of buckets. Running: a command is at it, or died; its node may have the new buckets before the catalog and the others do.
CREATE TABLE IF NOT EXISTS keyshift.split (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_name   text NOT NULL,
    bucket       int NOT NULL,
    made         int[] NOT NULL,                        -- new numbers; with `bucket` they have all of its keys
    node         text NOT NULL,
    epoch        bigint NOT NULL,                       -- that all of them get: the bucket's + 1
    token        text NOT NULL,                         -- random; proves the open messages
    state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'undone')),
    requested_by text NOT NULL DEFAULT session_user,
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS split_one_per_group ON keyshift.split (group_name) WHERE state = 'running';

-- Buckets that the planner keeps on a node, by `keyshift node set --pin`.
CREATE TABLE IF NOT EXISTS keyshift.pin (
    group_name text NOT NULL REFERENCES keyshift.table_group ON DELETE CASCADE,
    bucket     int NOT NULL,
    node       text NOT NULL REFERENCES keyshift.node,
    PRIMARY KEY (group_name, bucket)
);

CREATE TABLE IF NOT EXISTS keyshift.projection (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,
    view_schema   text NOT NULL,                        -- the view readers use
    generation    int NOT NULL DEFAULT 1,
    state         text NOT NULL DEFAULT 'building' CHECK (state IN ('building', 'live', 'paused', 'failed', 'dropping')),
    wanted        text NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause', 'drop')),
    group_name    text NOT NULL,                        -- its buckets
    sql           text NOT NULL,
    definition    jsonb NOT NULL,                       -- as classified; docs/architecture.md
    start_offsets jsonb,                                -- {"topic":{"0":123}}: applied from here
    backfill      jsonb NOT NULL DEFAULT '{}',          -- {"node":{"table":{"bucket":"done"}}}
    rows          bigint NOT NULL DEFAULT 0,
    lag_seconds   double precision,
    rejections    bigint NOT NULL DEFAULT 0,
    error         jsonb,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- One row a generation. The one that serves is read through the view; another is being built to succeed it, has been succeeded and is
-- kept up to date for a while (keep_until), or (wanted 'drop') goes.
ALTER TABLE keyshift.projection ADD COLUMN IF NOT EXISTS serving boolean NOT NULL DEFAULT true;
ALTER TABLE keyshift.projection DROP CONSTRAINT IF EXISTS projection_name_key;
ALTER TABLE keyshift.projection ADD COLUMN IF NOT EXISTS keep_seconds int NOT NULL DEFAULT 0; -- how long the one before stays, once it serves
ALTER TABLE keyshift.projection ADD COLUMN IF NOT EXISTS keep_until timestamptz;              -- of one that has been succeeded and is kept
CREATE UNIQUE INDEX IF NOT EXISTS projection_serving ON keyshift.projection (name) WHERE serving;
CREATE UNIQUE INDEX IF NOT EXISTS projection_generation ON keyshift.projection (name, generation);

-- A projection of several tables is a view over projections of one table each, its members.
CREATE TABLE IF NOT EXISTS keyshift.composite (
    name          text PRIMARY KEY,
    view_schema   text NOT NULL,
    sql           text NOT NULL,
    key           text[] NOT NULL,
    members       text[] NOT NULL,                      -- names in keyshift.projection
    created_at    timestamptz NOT NULL DEFAULT now()
);
-- One row a generation, as in keyshift.projection; each has members of its own.
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS generation int NOT NULL DEFAULT 1;
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS serving boolean NOT NULL DEFAULT true;
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS wanted text NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'drop'));
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS view_query text;     -- over its members' views; NULL: as the nodes have it
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS columns jsonb;       -- of the view: [{"name","type"}]
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS keep_seconds int NOT NULL DEFAULT 0;
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS keep_until timestamptz;
ALTER TABLE keyshift.composite ADD COLUMN IF NOT EXISTS error jsonb;         -- why it cannot take the other one's place
ALTER TABLE keyshift.composite DROP CONSTRAINT IF EXISTS composite_pkey;
CREATE UNIQUE INDEX IF NOT EXISTS composite_serving ON keyshift.composite (name) WHERE serving;
CREATE UNIQUE INDEX IF NOT EXISTS composite_generation ON keyshift.composite (name, generation);
ALTER TABLE keyshift.projection ADD COLUMN IF NOT EXISTS part_of text;      -- a member's projection
ALTER TABLE keyshift.projection ADD COLUMN IF NOT EXISTS filled_nodes jsonb NOT NULL DEFAULT '[]'; -- that have all rows, where every node is to

-- Members by which a projection of several tables is read now.
CREATE OR REPLACE VIEW keyshift.read_member AS
SELECT p.id, p.part_of, p.lag_seconds, coalesce((p.definition ->> 'everywhere')::boolean, false) AS everywhere
FROM keyshift.composite c JOIN keyshift.projection p ON p.name = ANY (c.members) AND p.serving WHERE c.serving;

-- Projections as their users know them: a member's state is its projection's.
DROP VIEW IF EXISTS keyshift.shown_projection;
CREATE VIEW keyshift.shown_projection AS
SELECT name, view_schema, generation, CASE WHEN wanted = 'pause' THEN 'paused' ELSE state END AS state, group_name,
       ARRAY(SELECT jsonb_array_elements_text(coalesce(definition -> 'aggregation' -> 'key', definition -> 'key'))) AS key,
       lag_seconds, rejections, error
FROM keyshift.projection WHERE serving AND part_of IS NULL
UNION ALL
SELECT c.name, c.view_schema, c.generation,
       CASE WHEN bool_or(p.state = 'failed') THEN 'failed' WHEN bool_or(p.state = 'dropping') THEN 'dropping'
            WHEN bool_or(p.state = 'paused' OR p.wanted = 'pause') THEN 'paused' WHEN bool_or(p.state = 'building') THEN 'building' ELSE 'live' END,
       c.name, c.key, max(p.lag_seconds), sum(p.rejections)::bigint, (array_agg(p.error) FILTER (WHERE p.error IS NOT NULL))[1]
FROM keyshift.composite c JOIN keyshift.projection p ON p.name = ANY (c.members) AND p.serving
WHERE c.serving GROUP BY c.name, c.view_schema, c.generation, c.key;

CREATE TABLE IF NOT EXISTS keyshift.rejection (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection text NOT NULL, topic text NOT NULL, partition int NOT NULL, kafka_offset bigint NOT NULL,
    reason text NOT NULL, detail text NOT NULL, key text, value text, at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (projection, topic, partition, kafka_offset)
);
-- The record's headers as [[name, value]], and the primary key it speaks of as a JSON array of texts ('' : unknown): a newer
-- version of that row heals it.
ALTER TABLE keyshift.rejection ADD COLUMN IF NOT EXISTS headers jsonb NOT NULL DEFAULT '[]';
ALTER TABLE keyshift.rejection ADD COLUMN IF NOT EXISTS row_key text NOT NULL DEFAULT '';
ALTER TABLE keyshift.rejection ADD COLUMN IF NOT EXISTS tried_at timestamptz;         -- by `keyshift rejections retry`

-- Snapshot of a table's rows into its topic, per node and bucket (a table that is not distributed: bucket 0).
CREATE TABLE IF NOT EXISTS keyshift.snapshot (
    table_id  bigint NOT NULL REFERENCES keyshift.captured_table ON DELETE CASCADE,
    node      text NOT NULL,
    bucket    int NOT NULL,
    state     text NOT NULL DEFAULT 'pending',
    rows      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (table_id, node, bucket)
);
-- Of rows read once more by `keyshift cdc snapshot`: the SQL condition, 'true' for all. NULL: the initial snapshot.
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS condition text;
-- What is left to be read, NULL until it is begun; of those rows that Kafka has not acknowledged.
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS ranges jsonb;
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS estimate bigint;      -- of all its rows
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS chunks bigint NOT NULL DEFAULT 0;
-- Tells one request from the next for the same rows.
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS requested_at timestamptz NOT NULL DEFAULT pg_catalog.now();
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS started_at timestamptz;
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS updated_at timestamptz;
ALTER TABLE keyshift.snapshot ADD COLUMN IF NOT EXISTS error jsonb;          -- failed: {"what","why","next"}
ALTER TABLE keyshift.snapshot DROP CONSTRAINT IF EXISTS snapshot_state_check;
ALTER TABLE keyshift.snapshot ADD CONSTRAINT snapshot_state_check
    CHECK (state IN ('pending', 'running', 'done', 'failed', 'cancelled'));

-- How each captured table looked to its node's stream, so that WAL that is read late is read as it was written.
CREATE TABLE IF NOT EXISTS keyshift.schema_history (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node       text NOT NULL,
    table_id   bigint NOT NULL REFERENCES keyshift.captured_table ON DELETE CASCADE,
    changed_by bigint NOT NULL,                          -- the youngest transaction that had changed the table by then
    schema     jsonb NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS schema_history_of_table ON keyshift.schema_history (node, table_id, number);

-- Which relations of a node are a captured table that is not distributed, whatever they are called by now.
CREATE TABLE IF NOT EXISTS keyshift.captured_relation (
    node     text NOT NULL,
    relation bigint NOT NULL,                            -- OID
    table_id bigint NOT NULL REFERENCES keyshift.captured_table ON DELETE CASCADE,
    own      boolean NOT NULL,                           -- false: a partition of it
    PRIMARY KEY (node, relation)
);

-- What the daemon sees of each node's stream; written about once a second.
CREATE TABLE IF NOT EXISTS keyshift.stream_status (
    node           text PRIMARY KEY,
    state          text NOT NULL,                        -- starting, streaming, waiting, stopped
    confirmed_lsn  pg_lsn, current_lsn pg_lsn,
    lag_bytes      bigint, lag_seconds double precision, retained_bytes bigint,
    wal_status     text,
    left_out       jsonb NOT NULL DEFAULT '[]',          -- [{"table","column","type"}] columns of unknown type
    error          jsonb,
    at             timestamptz NOT NULL DEFAULT now()
);

-- Records that went to the dead-letter topic since the node was added (some may be counted twice after a crash).
ALTER TABLE keyshift.stream_status ADD COLUMN IF NOT EXISTS dead_letters bigint NOT NULL DEFAULT 0;

-- Topics of events and how many partitions they had when first written to. Until `keyshift cdc accept-partitions` a stream
-- refuses to write to one that has another number by now.
CREATE TABLE IF NOT EXISTS keyshift.topic (name text PRIMARY KEY, partitions int NOT NULL);

-- Statements of `keyshift ddl`. Waiting: for moves of these groups, as long as its session lives; running: a node may have it.
CREATE TABLE IF NOT EXISTS keyshift.ddl (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement     text NOT NULL,
    groups        text[] NOT NULL,
    state         text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'undone')),
    backend       int NOT NULL, backend_start timestamptz NOT NULL,
    requested_by  text NOT NULL DEFAULT session_user,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz
);

-- The daemon that runs. Whoever holds the advisory lock hashtext('keyshift daemon') writes here; others are refused.
CREATE TABLE IF NOT EXISTS keyshift.daemon (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), host text, pid int, version text, http text, started_at timestamptz, seen_at timestamptz
);
