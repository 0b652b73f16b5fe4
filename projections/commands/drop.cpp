#include "projections/commands/projection_table.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "core/names.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace keyshift::projections {

using Json = nlohmann::json;

namespace {

/// The indexes this projection made for the replica identity, where it is the last that needs the old key: the identity goes
/// back before its index goes, since a leaf whose identity index is gone refuses every UPDATE and DELETE.
void restore_identity(pg::Connection& node, const Definition& definition)
{
    if (!catalog::table_exists(node, definition.base)) {
        return;
    }
    for (const std::string& name : definition.identity_indexes) {
        const QualifiedName index{definition.base.schema, name};
        const pg::Result tables = node.query(
            "SELECT x.indrelid::regclass::text FROM pg_index x WHERE x.indisreplident AND x.indexrelid IN (SELECT to_regclass($1) UNION ALL "
            "SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = to_regclass($1))",
            {index.quoted()});
        for (int row = 0; row < tables.rows(); ++row) {
            node.script(fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT", tables.text(row, 0)));
        }
        node.script("DROP INDEX IF EXISTS " + index.quoted());
    }
}

/// Another projection of the table that needs its key in the old row takes over the indexes: the identity stays as it is.
/// True: there is one.
bool hand_over_identity(pg::Connection& catalog, const Definition& definition)
{
    for (Definition& other : siblings(catalog, definition)) {
        const bool needs = std::any_of(other.key_base.begin(), other.key_base.end(), [&](const std::string& column) {
            return std::find(other.pk.begin(), other.pk.end(), column) == other.pk.end();
        });
        if (needs) {
            for (const std::string& index : definition.identity_indexes) {
                if (std::find(other.identity_indexes.begin(), other.identity_indexes.end(), index) ==
                    other.identity_indexes.end()) {
                    other.identity_indexes.push_back(index);
                }
            }
            catalog.query(
                "UPDATE keyshift.projection SET definition = jsonb_set(definition, '{identity_indexes}', $2) WHERE name = $1",
                {other.name, Json(other.identity_indexes).dump()});
            return true;
        }
    }
    return false;
}

} // namespace

void drop(pg::Connection& catalog, const std::string& name)
{
    const catalog::CommandLock lock(catalog, "projection drop " + name);
    const Definition definition = read_projection(catalog, name).definition;
    if (is_moving(catalog, name)) {
        throw RefusedError({"dropping projection " + name, "its buckets are being moved or wait for their grace period",
                            "Wait for it, or cancel it: `keyshift reshard status`."});
    }
    // The runner sees this within a second and writes no more; its tables may go under it meanwhile.
    catalog.query("UPDATE keyshift.projection SET wanted = 'drop', state = 'dropping' WHERE name = $1", {name});
    catalog::notify(catalog, "projection");
    const std::vector<Definition> generations = all_generations(catalog, name);
    const bool handed_over = definition.identity_indexes.empty() || hand_over_identity(catalog, definition);
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection drop")) {
        pg::Transaction transaction(*node.connection);
        if (!handed_over) {
            restore_identity(*node.connection, definition);
        }
        node.connection->script(fmt::format("DROP VIEW IF EXISTS {}", definition.view().quoted()));
        for (const Definition& generation : generations) {
            drop_generation(*node.connection, generation);
        }
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
