#include "projections/commands/composite.hpp"
#include "projections/commands/composite_rebuild.hpp"
#include "projections/commands/creation.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/commands/redefinition.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <memory>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

void refuse(const std::string& name, const std::string& why, const std::string& next)
{
    throw RefusedError({"rebuilding projection " + name, why, next});
}

/// A generation whose building has failed, has paused or is given up gives way to the next try; one that is under way does not.
void clear_successor(pg::Connection& catalog, const std::string& name, std::optional<std::int64_t> given_up)
{
    const auto successor = read_successor(catalog, name);
    if (!successor) {
        return;
    }
    if (successor->state != "failed" && successor->state != "paused" && successor->id != given_up) {
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

bool same_placement(const std::map<BucketId, catalog::Placement>& a, const std::map<BucketId, catalog::Placement>& b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
        return one.first == other.first && one.second.node == other.second.node &&
               one.second.epoch == other.second.epoch;
    });
}

} // namespace

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

void hold_placement(pg::Connection& catalog, const std::string& name, const catalog::DistributedRoot& root)
{
    catalog.query("LOCK TABLE keyshift.move IN SHARE ROW EXCLUSIVE MODE");
    if (is_moving(catalog, root.group.name) ||
        !same_placement(root.placement, catalog::placement(catalog, root.group.name))) {
        refuse(name, "its buckets began to move meanwhile", "Run it again when `keyshift reshard status` is done.");
    }
}

namespace {

/// From here on moves of the group take the new table with them, so its leaves must be where those of the old one are.
void record(pg::Connection& catalog, const std::string& sql, std::int64_t keep_seconds, const Definition& definition,
            const catalog::DistributedRoot& root)
{
    pg::Transaction transaction(catalog);
    hold_placement(catalog, definition.name, root);
    record_tables(catalog, definition);
    catalog.query(
        "INSERT INTO keyshift.projection (name, generation, serving, view_schema, group_name, part_of, sql, definition, keep_seconds) "
        "VALUES ($1, $2, false, $3, $4, nullif($5, ''), $6, $7, $8)",
        {definition.name, std::to_string(definition.generation), definition.view_schema, definition.group,
         definition.part_of, sql, to_json(definition).dump(), std::to_string(keep_seconds)});
    catalog::notify(catalog, "projection");
    transaction.commit();
}

} // namespace

namespace {

/// Behind all that there are: one that is kept may be newer than the one that serves.
int next_generation(pg::Connection& catalog, const ProjectionRecord& serving)
{
    int newest = serving.definition.generation;
    for (const Definition& one : all_generations(catalog, serving.definition.name)) {
        newest = std::max(newest, one.generation);
    }
    return newest + 1;
}

Json plan_of(const Definition& definition, const RebuildRequest& request, const Redefinition* changed)
{
    Json plan{{"projection", definition.name},
              {"generation", definition.generation},
              {"table", definition.table().to_string()},
              {"keep_seconds", request.keep_seconds},
              {"dry_run", request.dry_run}};
    if (changed != nullptr) {
        plan["key"] = shown_key(definition);
        plan["alters"] = changed->alters();
    }
    return plan;
}

RebuildRequest same_definition(const std::string& name, bool dry_run)
{
    RebuildRequest request;
    request.name = name;
    request.dry_run = dry_run;
    return request;
}

/// Its tables on every node, then its row.
void begin_generation(pg::Connection& catalog, const Definition& definition, const std::string& sql,
                      std::int64_t keep_seconds)
{
    const catalog::DistributedRoot root = root_of(catalog, definition.group);
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
        pg::Transaction transaction(*node.connection);
        make_generation(*node.connection, node.node, definition, root);
        transaction.commit();
    }
    record(catalog, sql, keep_seconds, definition, root);
}

void refuse_while_moving(pg::Connection& catalog, const Definition& definition)
{
    if (is_moving(catalog, definition.group)) {
        refuse(definition.name, "its buckets are being moved or wait for their grace period",
               "Wait for it, or cancel it: `keyshift reshard status`.");
    }
}

Json rebuild_one(pg::Connection& catalog, const RebuildRequest& request)
{
    const std::string& name = request.name;
    const ProjectionRecord old = read_projection(catalog, name);
    refuse_while_moving(catalog, old.definition);
    if (!request.dry_run) {
        clear_successor(catalog, name, std::nullopt);
    }
    const int generation = next_generation(catalog, old);
    std::unique_ptr<Redefinition> changed;
    if (!request.sql.empty()) {
        changed = std::make_unique<Redefinition>(catalog, old, request, generation);
    }
    Definition definition = changed ? changed->definition() : old.definition;
    definition.generation = generation;
    Json plan = plan_of(definition, request, changed.get());
    if (request.dry_run) {
        return plan;
    }
    if (changed) {
        changed->prepare_base();
        definition = changed->definition();
    }
    begin_generation(catalog, definition, changed ? request.sql : old.sql, request.keep_seconds);
    return plan;
}

} // namespace

Json rebuild(pg::Connection& catalog, const RebuildRequest& request)
{
    const std::string& name = request.name;
    const catalog::CommandLock lock(catalog, "projection rebuild " + name);
    const auto composite = read_composite(catalog, name);
    if (!composite) {
        if (const Definition definition = read_projection(catalog, name).definition; !definition.part_of.empty()) {
            refuse(name, "it is a part of projection " + definition.part_of, "Rebuild that one.");
        }
        if (request.sql.empty() && (!request.key.empty() || request.skip_null)) {
            refuse(name, "another key is another definition", "Give the SELECT too, by --sql or --file.");
        }
        return rebuild_one(catalog, request);
    }
    return rebuild_composite(catalog, *composite, request);
}

void rebuild_generation(pg::Connection& catalog, const ProjectionRecord& like)
{
    Definition definition = like.definition;
    const catalog::CommandLock lock(catalog, "projection rebuild " + definition.name);
    const ProjectionRecord serving = read_projection(catalog, definition.name);
    refuse_while_moving(catalog, definition);
    const std::int64_t keep_seconds =
        like.serving
            ? 0
            : catalog.query("SELECT keep_seconds FROM keyshift.projection WHERE id = $1", {std::to_string(like.id)})
                  .integer(0, 0);
    clear_successor(catalog, definition.name, like.serving ? std::nullopt : std::optional(like.id));
    definition.generation = next_generation(catalog, serving);
    begin_generation(catalog, definition, like.sql, keep_seconds);
}

Json rebuild(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    return rebuild(catalog, same_definition(name, dry_run));
}

Json rollback(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    const catalog::CommandLock lock(catalog, "projection rollback " + name);
    const auto refuse_rollback = [&](const std::string& why, const std::string& next) {
        throw RefusedError({"rolling projection " + name + " back", why, next});
    };
    if (const auto composite = read_composite(catalog, name)) {
        return rollback_composite(catalog, *composite, dry_run);
    }
    const ProjectionRecord serving = read_projection(catalog, name);
    const auto kept = read_kept(catalog, name);
    if (!kept) {
        refuse_rollback("no earlier generation of it is kept",
                        "`keyshift projection rebuild " + name + " --sql ...` builds what it was before.");
    }
    if (kept->state != "live" || kept->wanted != "run") {
        refuse_rollback(fmt::format("generation {} is {}, so it is not up to date", kept->definition.generation,
                                    kept->wanted == "run" ? kept->state : "paused"),
                        "`keyshift projection resume " + name + "`, and wait until it is live.");
    }
    if (read_successor(catalog, name)) {
        refuse_rollback("a new generation is being built", "Wait for it: `keyshift projection show " + name + "`.");
    }
    if (!dry_run) {
        catalog.query("UPDATE keyshift.projection k SET keep_until = NULL, keep_seconds = greatest(s.keep_seconds, 60) "
                      "FROM keyshift.projection s WHERE k.id = $1 AND s.id = $2",
                      {std::to_string(kept->id), std::to_string(serving.id)});
        catalog::notify(catalog, "projection");
    }
    return {{"projection", name},
            {"generation", kept->definition.generation},
            {"replaces", serving.definition.generation},
            {"dry_run", dry_run}};
}

} // namespace keyshift::projections
