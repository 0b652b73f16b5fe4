-- What every node has in its schema keyshift, beside the functions of functions.sql. In no publication.
CREATE SCHEMA IF NOT EXISTS keyshift;
CREATE TABLE IF NOT EXISTS keyshift.local_identity (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), cluster text NOT NULL, node text NOT NULL
);
-- Distributed tables here; root is the partitioned parent (for a projection: its physical table).
CREATE TABLE IF NOT EXISTS keyshift.local_table (
    root        regclass PRIMARY KEY,
    alias       regclass UNIQUE,                   -- a projection's view; NULL for tables
    group_name  text NOT NULL,
    buckets     int NOT NULL,                      -- as it was distributed; local_bucket has those that splits made, too
    key_columns text[] NOT NULL,
    key_types   text[] NOT NULL,
    captured    boolean NOT NULL DEFAULT true
);
ALTER TABLE keyshift.local_table ADD COLUMN IF NOT EXISTS members text[]; -- of a projection that consists of several
-- Copy of the whole placement, for routing and for error messages; behind the catalog by at most a moment.
CREATE TABLE IF NOT EXISTS keyshift.local_placement (
    group_name text NOT NULL, bucket int NOT NULL, node text NOT NULL, epoch bigint NOT NULL,
    host text NOT NULL, port int NOT NULL, dbname text NOT NULL,
    PRIMARY KEY (group_name, bucket)
);
-- This node's own truth about each bucket, changed only in the transaction of fence and open (and distribute, split):
-- state 'open' (owned, writable), 'fenced' (was owned until fence_lsn), 'closed' (never or no longer).
CREATE TABLE IF NOT EXISTS keyshift.local_bucket (
    group_name text NOT NULL, bucket int NOT NULL,
    state      text NOT NULL DEFAULT 'closed' CHECK (state IN ('open', 'fenced', 'closed')),
    epoch      bigint NOT NULL DEFAULT 0,          -- of the last open
    open_lsn   pg_lsn, fence_lsn pg_lsn,
    open_xid   xid8,                               -- must_own raises 40001 for snapshots that cannot see it
    move       bigint, token text,
    PRIMARY KEY (group_name, bucket)
);
-- One row a move that works on this node: its owner epoch (fences a sleeping daemon) and how far it has applied.
CREATE TABLE IF NOT EXISTS keyshift.move_progress (
    move bigint PRIMARY KEY, owner_epoch bigint NOT NULL, applied_lsn pg_lsn, state text NOT NULL DEFAULT 'active'
);
-- Of the donor's frozen copy: every commit of the recipient below it is here, and the next batch continues exactly from it.
ALTER TABLE keyshift.move_progress ADD COLUMN IF NOT EXISTS reverse_lsn pg_lsn;
-- Up to which offset every event has been applied on every node; told beside later rows, and by the owner alone.
CREATE TABLE IF NOT EXISTS keyshift.projection_progress (
    projection text NOT NULL, generation int NOT NULL, topic text NOT NULL, partition int NOT NULL,
    next_offset bigint NOT NULL, owner_epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (projection, generation, topic, partition)
);
-- Up to which LSN of each node this node's part of a projection shows everything; written after the data transactions.
CREATE TABLE IF NOT EXISTS keyshift.projection_source (
    projection text NOT NULL, generation int NOT NULL, node text NOT NULL,
    lsn pg_lsn NOT NULL, owner_epoch bigint NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (projection, generation, node)
);
-- Copies of reference tables on this node: where they are written, and how far each is, in the transaction that writes it.
CREATE TABLE IF NOT EXISTS keyshift.local_reference (
    root         regclass PRIMARY KEY,
    token        text NOT NULL,                    -- keyshift.mover of the session that keeps it
    home         text NOT NULL, host text NOT NULL, port int NOT NULL, dbname text NOT NULL,
    owner_epoch  bigint NOT NULL DEFAULT 0,        -- raised by whoever takes it over
    state        text NOT NULL DEFAULT 'filling' CHECK (state IN ('filling', 'live')),
    shape        text,                             -- of the table and its events when it was filled
    snapshot     text,                             -- pg_current_snapshot() of what it was filled from
    filled_lsn   pg_lsn,                           -- of the home: no TRUNCATE between this and the snapshot
    complete_lsn pg_lsn,                           -- of the home: live once every commit below it is here
    applied_lsn  pg_lsn,                           -- of the home: every commit below it is here
    timeline     bigint,                           -- of the home
    offsets      jsonb NOT NULL DEFAULT '{}'       -- {"topic":{"0":123}}: read from here on
);
-- Rows of copies that are not as on the home: something here refuses them (a foreign key points at one that was deleted).
CREATE TABLE IF NOT EXISTS keyshift.reference_conflict (
    root regclass NOT NULL REFERENCES keyshift.local_reference ON DELETE CASCADE,
    key text[] NOT NULL, reason text NOT NULL, since timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (root, key)
);
CREATE OR REPLACE VIEW keyshift.placement AS SELECT group_name, bucket, node, epoch FROM keyshift.local_placement;
