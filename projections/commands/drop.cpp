#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "core/names.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

namespace {

/// The identity goes back before its index goes: a leaf whose identity index is gone refuses every UPDATE and DELETE.
void restore_identity(pg::Connection& node, const Definition& definition)
{
    if (definition.identity_index.empty() || !catalog::table_exists(node, definition.base)) {
        return;
    }
    const QualifiedName index{definition.base.schema, definition.identity_index};
    const pg::Result tables = node.query(
        "SELECT x.indrelid::regclass::text FROM pg_index x WHERE x.indisreplident AND x.indexrelid IN (SELECT to_regclass($1) UNION ALL "
        "SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = to_regclass($1))",
        {index.quoted()});
    for (int row = 0; row < tables.rows(); ++row) {
        node.script(fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT", tables.text(row, 0)));
    }
    node.script("DROP INDEX IF EXISTS " + index.quoted());
}

} // namespace

void drop(pg::Connection& catalog, const std::string& name)
{
    const Definition definition = read_projection(catalog, name).definition;
    const pg::Result moves = catalog.query("SELECT job FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('done', 'aborted')", {name});
    if (moves.rows() > 0) {
        throw RefusedError({"dropping projection " + name, fmt::format("job {} still moves its buckets or waits for their grace period", moves.text(0, 0)),
                            "Wait for it, or cancel it: `keyshift reshard status`."});
    }
    // The runner sees this within a second and writes no more; its tables may go under it meanwhile.
    catalog.query("UPDATE keyshift.projection SET wanted = 'drop', state = 'dropping' WHERE name = $1", {name});
    catalog::notify(catalog, "projection");
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection drop")) {
        pg::Transaction transaction(*node.connection);
        restore_identity(*node.connection, definition);
        node.connection->script(fmt::format("DROP VIEW IF EXISTS {}; DROP TABLE IF EXISTS {} CASCADE", definition.view().quoted(), definition.table().quoted()));
        catalog::forget_table(*node.connection, definition.table(), name);
        node.connection->query("DELETE FROM keyshift.projection_progress WHERE projection = $1", {name});
        transaction.commit();
    }
    pg::Transaction transaction(catalog);
    catalog.query("DELETE FROM keyshift.rejection WHERE projection = $1", {name});
    catalog.query("DELETE FROM keyshift.projection WHERE name = $1", {name});
    catalog.query("DELETE FROM keyshift.captured_table WHERE group_name = $1", {name});
    catalog.query("DELETE FROM keyshift.bucket_history WHERE group_name = $1", {name});
    catalog.query("DELETE FROM keyshift.table_group WHERE name = $1", {name});
    catalog::notify(catalog, "projection");
    transaction.commit();
}

} // namespace keyshift::projections
