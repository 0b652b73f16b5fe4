#include "projections/commands/composite.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

void refuse(const std::string& name, const std::string& why, const std::string& next)
{
    throw RefusedError({"rebuilding projection " + name, why, next});
}

/// A generation whose building has failed, or has paused, gives way to the next try; one that is under way does not.
void clear_successor(pg::Connection& catalog, const std::string& name)
{
    const auto successor = read_successor(catalog, name);
    if (!successor) {
        return;
    }
    if (successor->state != "failed" && successor->state != "paused") {
        refuse(name,
               fmt::format("generation {} is being built or is replacing another", successor->definition.generation),
               "`keyshift projection show " + name + "` shows how far it is.");
    }
    // Its runner, if it comes back, finds no row and ends.
    catalog.query("DELETE FROM keyshift.projection WHERE id = $1", {std::to_string(successor->id)});
    forget_tables(catalog, successor->definition);
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
        pg::Transaction transaction(*node.connection);
        drop_generation(*node.connection, successor->definition);
        transaction.commit();
    }
}

catalog::DistributedRoot root_of(pg::Connection& catalog, const std::string& name)
{
    catalog::DistributedRoot root;
    root.group = catalog::group(catalog, name);
    root.placement = catalog::placement(catalog, name);
    for (const catalog::Node& node : catalog::nodes(catalog)) {
        root.addresses[node.name] = node.address;
    }
    return root;
}

bool same_placement(const std::map<BucketId, catalog::Placement>& a, const std::map<BucketId, catalog::Placement>& b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
        return one.first == other.first && one.second.node == other.second.node &&
               one.second.epoch == other.second.epoch;
    });
}

/// From here on moves of the group take the new table with them, so its leaves must be where those of the old one are.
void record(pg::Connection& catalog, const ProjectionRecord& old, const Definition& definition,
            const catalog::DistributedRoot& root)
{
    pg::Transaction transaction(catalog);
    catalog.query("LOCK TABLE keyshift.move IN SHARE ROW EXCLUSIVE MODE");
    if (is_moving(catalog, definition.group) ||
        !same_placement(root.placement, catalog::placement(catalog, definition.group))) {
        refuse(definition.name, "its buckets began to move meanwhile",
               "Run it again when `keyshift reshard status` is done.");
    }
    record_tables(catalog, definition);
    catalog.query(
        "INSERT INTO keyshift.projection (name, generation, serving, view_schema, group_name, part_of, sql, definition) "
        "VALUES ($1, $2, false, $3, $4, nullif($5, ''), $6, $7)",
        {definition.name, std::to_string(definition.generation), definition.view_schema, definition.group,
         definition.part_of, old.sql, to_json(definition).dump()});
    catalog::notify(catalog, "projection");
    transaction.commit();
}

} // namespace

namespace {

Json rebuild_one(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    const ProjectionRecord old = read_projection(catalog, name);
    if (is_moving(catalog, old.definition.group)) {
        refuse(name, "its buckets are being moved or wait for their grace period",
               "Wait for it, or cancel it: `keyshift reshard status`.");
    }
    Definition definition = old.definition;
    definition.generation = old.definition.generation + 1;
    const Json plan{{"projection", name},
                    {"generation", definition.generation},
                    {"table", definition.table().to_string()},
                    {"dry_run", dry_run}};
    if (dry_run) {
        return plan;
    }
    clear_successor(catalog, name);
    const catalog::DistributedRoot root = root_of(catalog, definition.group);
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
        pg::Transaction transaction(*node.connection);
        make_generation(*node.connection, node.node, definition, root);
        transaction.commit();
    }
    record(catalog, old, definition, root);
    return plan;
}

} // namespace

Json rebuild(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    const catalog::CommandLock lock(catalog, "projection rebuild " + name);
    const auto composite = read_composite(catalog, name);
    if (!composite) {
        return rebuild_one(catalog, name, dry_run);
    }
    Json plan{{"projection", name}, {"tables", Json::array()}, {"dry_run", dry_run}};
    for (const std::string& member : composite->members) {
        Json part = rebuild_one(catalog, member, dry_run);
        plan["generation"] = part["generation"];
        part.erase("dry_run");
        plan["tables"].push_back(std::move(part));
    }
    return plan;
}

} // namespace keyshift::projections
