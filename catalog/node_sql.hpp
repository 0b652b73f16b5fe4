#pragma once
/// The SQL objects Keyshift keeps on every node: tables (sql/node.sql), routing functions, must_own with the ownership
/// bitmap in its body, and the reject triggers. Used by operations (install, distribute), the resharder (fence, open) and
/// the projections (their tables). Every function runs inside the caller's transaction.

#include "catalog/catalog.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace keyshift::catalog {

/// Schema, tables, functions of a node; idempotent.
void install_node_schema(pg::Connection& node, const std::string& cluster, const std::string& name);
/// Writes local_table and regenerates bucket_of, node_of, owns, must_own overloads for all tables of local_table.
void register_table(pg::Connection& node, const QualifiedName& root, const Group& group,
                    const std::vector<std::string>& key_columns, bool captured);
/// The view by which a projection is read serves as its table in bucket_of, node_of, owns and must_own.
void set_alias(pg::Connection& node, const QualifiedName& root, const QualifiedName& view);
/// The projections whose progress a token is waited for by, of a projection that consists of several.
void set_members(pg::Connection& node, const std::string& group, const std::vector<std::string>& members);
/// The opposite of register_table: before or after the table is dropped; idempotent. The group's ownership function goes
/// with its last table.
void forget_table(pg::Connection& node, const QualifiedName& root, const std::string& group);
/// Regenerates the group's ownership function from local_bucket (state 'open'). Two at once fail with XX000: the caller holds
/// pg_advisory_xact_lock(hashtext('keyshift owned ' || group)), which this takes.
void refresh_ownership(pg::Connection& node, const std::string& group);

/// Reject triggers on one leaf, ENABLE ALWAYS: rows (INSERT, UPDATE, DELETE) and TRUNCATE raise KS001 with the owner's
/// address, except in a session with `SET keyshift.mover = '<token>'` equal to the trigger's token.
void create_reject_trigger(pg::Connection& node, const QualifiedName& leaf, const std::string& group, BucketId bucket,
                           const std::string& mover_token);
void drop_reject_trigger(pg::Connection& node, const QualifiedName& leaf);
bool has_reject_trigger(pg::Connection& node, const QualifiedName& leaf);

/// DDL of an empty leaf of `root` for a bucket (PARTITION OF ... FOR VALUES WITH), with the root's replica identity.
void create_placeholder(pg::Connection& node, const QualifiedName& root, const Group& group, BucketId bucket);
/// To a leaf that has been attached, as the root has it.
void set_replica_identity_of_leaf(pg::Connection& node, const QualifiedName& root, const QualifiedName& leaf);
/// Upserts one row of local_placement and NOTIFYs kPlacementChannel.
void write_local_placement(pg::Connection& node, const std::string& group, BucketId bucket, const Placement& placement,
                           const pg::Address& address);

} // namespace keyshift::catalog
