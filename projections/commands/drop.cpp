#include "projections/commands/composite.hpp"
#include "projections/commands/dropping.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"
#include "core/json.hpp"
#include "core/names.hpp"

#include <fmt/core.h>

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
    if (definition.identity_full) {
        const pg::Result tables = node.query(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relreplident = 'f' AND c.oid IN (SELECT to_regclass($1) UNION ALL "
            "SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = to_regclass($1))",
            {definition.base.quoted()});
        for (int row = 0; row < tables.rows(); ++row) {
            node.script(fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT", tables.text(row, 0)));
        }
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
        const std::vector<std::string> key = key_sources(other);
        const bool needs = std::any_of(key.begin(), key.end(), [&](const std::string& column) {
            return std::find(other.pk.begin(), other.pk.end(), column) == other.pk.end();
        });
        if (needs) {
            for (const std::string& index : definition.identity_indexes) {
                if (std::find(other.identity_indexes.begin(), other.identity_indexes.end(), index) ==
                    other.identity_indexes.end()) {
                    other.identity_indexes.push_back(index);
                }
            }
            catalog.query("UPDATE keyshift.projection SET definition = definition || $2::jsonb WHERE name = $1",
                          {other.name, Json{{"identity_indexes", other.identity_indexes},
                                            {"identity_full", other.identity_full || definition.identity_full}}
                                           .dump()});
            return true;
        }
    }
    return false;
}

} // namespace

Dropped begin_drop(pg::Connection& catalog, const std::string& name)
{
    Dropped dropped{read_projection(catalog, name).definition, true, all_generations(catalog, name)};
    dropped.handed_over = (dropped.definition.identity_indexes.empty() && !dropped.definition.identity_full) ||
                          hand_over_identity(catalog, dropped.definition);
    return dropped;
}

void drop_on(pg::Connection& node, const std::vector<Dropped>& parts, const std::optional<QualifiedName>& view)
{
    for (const Dropped& part : parts) {
        if (!part.handed_over) {
            restore_identity(node, part.definition);
        }
    }
    if (view) {
        node.script(fmt::format("DROP VIEW IF EXISTS {}", view->quoted()));
    }
    for (const Dropped& part : parts) {
        node.script(fmt::format("DROP VIEW IF EXISTS {}", part.definition.view().quoted()));
        for (const Definition& generation : part.generations) {
            drop_generation(node, generation);
        }
    }
}

void drop(pg::Connection& catalog, const std::string& name)
{
    const catalog::CommandLock lock(catalog, "projection drop " + name);
    const auto composite = read_composite(catalog, name);
    const std::vector<std::string> members = all_members_of(catalog, name);
    const Definition definition = read_projection(catalog, members.front()).definition;
    if (!composite && !definition.part_of.empty()) {
        throw RefusedError({"dropping projection " + name, "it is a part of projection " + definition.part_of,
                            "Drop that one: `keyshift projection drop " + definition.part_of + "`."});
    }
    if (is_moving(catalog, name)) {
        throw RefusedError({"dropping projection " + name, "its buckets are being moved or wait for their grace period",
                            "Wait for it, or cancel it: `keyshift reshard status`."});
    }
    // The runner sees this within a second and writes no more; its tables may go under it meanwhile.
    const std::string all = catalog::write_array(members);
    catalog.query("UPDATE keyshift.projection SET wanted = 'drop', state = 'dropping' WHERE name = ANY($1)", {all});
    catalog::notify(catalog, "projection");
    std::vector<Dropped> parts;
    for (const std::string& member : members) {
        parts.push_back(begin_drop(catalog, member));
    }
    const QualifiedName view = composite ? composite->view() : definition.view();
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection drop")) {
        pg::Transaction transaction(*node.connection);
        drop_on(*node.connection, parts, view);
        transaction.commit();
    }
    pg::Transaction transaction(catalog);
    catalog.query("DELETE FROM keyshift.rejection WHERE projection = ANY($1)", {all});
    catalog.query("DELETE FROM keyshift.projection WHERE name = ANY($1)", {all});
    catalog.query("DELETE FROM keyshift.composite WHERE name = $1", {name});
    catalog.query("DELETE FROM keyshift.captured_table WHERE group_name = $1", {name});
    catalog.query("DELETE FROM keyshift.bucket_history WHERE group_name = $1", {name});
    catalog.query("DELETE FROM keyshift.table_group WHERE name = $1", {name});
    catalog::notify(catalog, "projection");
    transaction.commit();
}

} // namespace keyshift::projections
