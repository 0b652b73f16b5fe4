#include "catalog/node_sql.hpp"

#include "catalog/embedded_sql.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

void install_node_schema(pg::Connection& node, const std::string& cluster, const std::string& name)
{
    node.script(kNodeSql);
    node.script(kFunctionsSql);
    node.script(kStrictSql);
    node.query("INSERT INTO keyshift.local_identity (cluster, node) VALUES ($1, $2) "
               "ON CONFLICT (one) DO UPDATE SET cluster = excluded.cluster, node = excluded.node",
               {cluster, name});
    node.query("SELECT keyshift.internal_compile_ownership(g) FROM (SELECT DISTINCT group_name AS g FROM "
               "keyshift.local_table) AS groups");
    node.query("SELECT keyshift.internal_compile_routing()");
}

void register_table(pg::Connection& node, const QualifiedName& root, const Group& group,
                    const std::vector<std::string>& key_columns, bool captured)
{
    // A row whose table is gone would keep its OID, and with it its branch of must_own, for ever.
    node.query(
        "DELETE FROM keyshift.local_table t WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.root)");
    const std::string buckets = std::to_string(group.buckets.first_modulus());
    node.query(
        "INSERT INTO keyshift.local_table (root, group_name, buckets, key_columns, key_types, captured, members) "
        "VALUES ($1::regclass, $2, $3::int, $4::text[], $5::text[], $6::boolean, "
        "        (SELECT o.members FROM keyshift.local_table o WHERE o.group_name = $2 AND o.members IS NOT NULL LIMIT 1)) "
        "ON CONFLICT (root) DO UPDATE SET group_name = excluded.group_name, buckets = excluded.buckets, "
        "key_columns = excluded.key_columns, key_types = excluded.key_types, captured = excluded.captured",
        {root.quoted(), group.name, buckets, write_array(key_columns), write_array(group.key_types),
         captured ? "true" : "false"});
    // must_own's branches call the group's ownership function by name: it is there before them.
    refresh_ownership(node, group.name);
    node.query("SELECT keyshift.internal_compile_routing()");
}

void set_alias(pg::Connection& node, const QualifiedName& root, const QualifiedName& view)
{
    node.query("UPDATE keyshift.local_table SET alias = $2::regclass WHERE root = $1::regclass",
               {root.quoted(), view.quoted()});
    node.query("SELECT keyshift.internal_compile_routing()");
}

void set_members(pg::Connection& node, const std::string& group, const std::vector<std::string>& members)
{
    node.query("UPDATE keyshift.local_table SET members = $2 WHERE group_name = $1", {group, write_array(members)});
}

void forget_table(pg::Connection& node, const QualifiedName& root, const std::string& group)
{
    node.query("DELETE FROM keyshift.local_table t WHERE t.root = pg_catalog.to_regclass($1) "
               "OR NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.root)",
               {root.quoted()});
    node.query("SELECT keyshift.internal_compile_routing()");
    if (node.query("SELECT EXISTS (SELECT FROM keyshift.local_table WHERE group_name = $1)", {group}).boolean(0, 0)) {
        return;
    }
    node.query("DELETE FROM keyshift.local_bucket WHERE group_name = $1", {group});
    node.query("DELETE FROM keyshift.local_placement WHERE group_name = $1", {group});
    const std::string function(node.query("SELECT keyshift.internal_owned_name($1)", {group}).text(0, 0));
    node.script(fmt::format("DROP FUNCTION IF EXISTS keyshift.{}(int)", quote_identifier(function)));
    const std::string guard(node.query("SELECT keyshift.internal_guard_name($1)", {group}).text(0, 0));
    node.script(fmt::format("DROP FUNCTION IF EXISTS keyshift.{}() CASCADE", quote_identifier(guard)));
    node.query("DELETE FROM keyshift.local_map WHERE group_name = $1", {group});
}

void refresh_ownership(pg::Connection& node, const std::string& group)
{
    node.query("SELECT keyshift.internal_compile_ownership($1)", {group});
}

void create_reject_trigger(pg::Connection& node, const QualifiedName& leaf, const std::string& group, BucketId bucket,
                           const std::string& mover_token)
{
    const std::string arguments =
        fmt::format("({}, {}, {})", quote_literal(group), quote_literal(std::to_string(number(bucket))),
                    quote_literal(mover_token));
    node.script(fmt::format(
        "CREATE OR REPLACE TRIGGER keyshift_reject BEFORE INSERT OR UPDATE OR DELETE ON {0} "
        "FOR EACH ROW EXECUTE FUNCTION keyshift.reject{1};"
        "CREATE OR REPLACE TRIGGER keyshift_reject_truncate BEFORE TRUNCATE ON {0} "
        "FOR EACH STATEMENT EXECUTE FUNCTION keyshift.reject_truncate{1};"
        "ALTER TABLE {0} ENABLE ALWAYS TRIGGER keyshift_reject, ENABLE ALWAYS TRIGGER keyshift_reject_truncate",
        leaf.quoted(), arguments));
}

void drop_reject_trigger(pg::Connection& node, const QualifiedName& leaf)
{
    node.script(fmt::format(
        "DROP TRIGGER IF EXISTS keyshift_reject ON {0}; DROP TRIGGER IF EXISTS keyshift_reject_truncate ON {0}",
        leaf.quoted()));
}

bool has_reject_trigger(pg::Connection& node, const QualifiedName& leaf)
{
    return node
        .query("SELECT count(*) = 2 FROM pg_catalog.pg_trigger WHERE tgrelid = pg_catalog.to_regclass($1) "
               "AND tgname IN ('keyshift_reject', 'keyshift_reject_truncate') AND tgenabled = 'A'",
               {leaf.quoted()})
        .boolean(0, 0);
}

namespace {

/// The root's replica identity, as an ALTER for one leaf; empty when it is the default that a new leaf has anyway.
std::string replica_identity_of_leaf(pg::Connection& node, const QualifiedName& root, const QualifiedName& leaf)
{
    const pg::Result rows = node.query(
        "SELECT c.relreplident, (SELECT i.inhrelid FROM pg_catalog.pg_index x "
        "    JOIN pg_catalog.pg_inherits i ON i.inhparent = x.indexrelid "
        "    JOIN pg_catalog.pg_index child ON child.indexrelid = i.inhrelid AND child.indrelid = $2::regclass "
        "    WHERE x.indrelid = c.oid AND x.indisreplident) IS NOT NULL, "
        "  (SELECT k.relname FROM pg_catalog.pg_index x JOIN pg_catalog.pg_inherits i ON i.inhparent = x.indexrelid "
        "    JOIN pg_catalog.pg_index child ON child.indexrelid = i.inhrelid AND child.indrelid = $2::regclass "
        "    JOIN pg_catalog.pg_class k ON k.oid = i.inhrelid WHERE x.indrelid = c.oid AND x.indisreplident) "
        "FROM pg_catalog.pg_class c WHERE c.oid = $1::regclass",
        {root.quoted(), leaf.quoted()});
    const std::string_view identity = rows.text(0, 0);
    if (identity == "f" || identity == "n") {
        return fmt::format("ALTER TABLE {} REPLICA IDENTITY {}", leaf.quoted(), identity == "f" ? "FULL" : "NOTHING");
    }
    if (identity == "i" && rows.boolean(0, 1)) {
        return fmt::format("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", leaf.quoted(),
                           quote_identifier(rows.text(0, 2)));
    }
    return {};
}

} // namespace

void create_placeholder(pg::Connection& node, const QualifiedName& root, const Group& group, BucketId bucket)
{
    const QualifiedName leaf = leaf_name(root, bucket);
    node.script(fmt::format("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES WITH (MODULUS {}, REMAINDER {})",
                            leaf.quoted(), root.quoted(), group.buckets.modulus(bucket), number(bucket)));
    const pg::Result owner = node.query("SELECT r.rolname, r.rolname = current_user FROM pg_catalog.pg_class c "
                                        "JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE c.oid = $1::regclass",
                                        {root.quoted()});
    if (!owner.boolean(0, 1)) {
        node.script(fmt::format("ALTER TABLE {} OWNER TO {}", leaf.quoted(), quote_identifier(owner.text(0, 0))));
    }
    set_replica_identity_of_leaf(node, root, leaf);
}

void set_replica_identity_of_leaf(pg::Connection& node, const QualifiedName& root, const QualifiedName& leaf)
{
    if (const std::string identity = replica_identity_of_leaf(node, root, leaf); !identity.empty()) {
        node.script(identity);
    }
}

void write_local_placement(pg::Connection& node, const std::string& group, BucketId bucket, const Placement& placement,
                           const pg::Address& address)
{
    const std::string bucket_text = std::to_string(number(bucket));
    const std::string epoch = std::to_string(number(placement.epoch));
    node.query(
        "INSERT INTO keyshift.local_placement (group_name, bucket, node, epoch, host, port, dbname) "
        "VALUES ($1, $2::int, $3, $4::bigint, $5, $6::int, $7) ON CONFLICT (group_name, bucket) DO UPDATE SET node = excluded.node, "
        "epoch = excluded.epoch, host = excluded.host, port = excluded.port, dbname = excluded.dbname "
        "WHERE local_placement.epoch <= excluded.epoch",
        {group, bucket_text, placement.node, epoch, address.host, std::to_string(address.port), address.dbname});
    node.query(
        "SELECT pg_catalog.pg_notify($1, pg_catalog.json_build_object('group', $2::text, 'bucket', $3::int, 'node', $4::text, "
        "'epoch', $5::bigint)::text)",
        {kPlacementChannel, group, bucket_text, placement.node, epoch});
}

} // namespace keyshift::catalog
