#include "projections/commands/composite_rebuild.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "core/json.hpp"
#include "core/pg/short_lock.hpp"
#include "projections/commands/composite_plan.hpp"
#include "projections/commands/creation.hpp"
#include "projections/commands/dropping.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/composite_select.hpp"
#include "projections/projection_record.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace keyshift::projections {

using Json = nlohmann::json;

namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& why, const std::string& next)
{
    throw RefusedError({"rebuilding projection " + name, why, next});
}

std::string another_name(const std::string& name)
{
    return fmt::format("Create it under another name, let the readers change over, then `keyshift projection drop {}`.",
                       name);
}

/// One whose building has failed, or has paused, gives way to the next try.
void clear_successor(pg::Connection& catalog, const std::string& name)
{
    const auto successor = read_composite_successor(catalog, name);
    if (!successor) {
        return;
    }
    const std::string state = state_of_successor(catalog, *successor);
    if (state != "failed" && state != "paused") {
        refuse(name, fmt::format("generation {} is being built or is replacing another", successor->generation),
               "`keyshift projection show " + name + "` shows how far it is.");
    }
    if (!remove_generation(catalog, *successor, {})) {
        refuse(name, "its buckets are being moved", "Wait for it, or cancel it: `keyshift reshard status`.");
    }
}

/// The highest that a member of any generation has: "user_feed__m3" has 3.
std::size_t members_so_far(pg::Connection& catalog, const std::string& name)
{
    std::size_t highest = 0;
    const std::string stem = name + "__m";
    for (const std::string& member : all_members_of(catalog, name)) {
        std::size_t number = 0;
        std::from_chars(member.data() + std::min(stem.size(), member.size()), member.data() + member.size(), number);
        highest = std::max(highest, number);
    }
    return highest;
}

int next_generation(pg::Connection& catalog, const std::string& name)
{
    return static_cast<int>(
        catalog.query("SELECT max(generation) + 1 FROM keyshift.composite WHERE name = $1", {name}).integer(0, 0));
}

CreateRequest request_of(pg::Connection& catalog, const Composite& serving, const RebuildRequest& request)
{
    CreateRequest made;
    made.name = serving.name;
    made.key = request.key.empty() ? serving.key : request.key;
    made.sql = request.sql.empty() ? serving.sql : request.sql;
    made.buckets = static_cast<std::uint32_t>(catalog::group(catalog, serving.name).buckets.numbers().size());
    made.apply = request.apply;
    made.dry_run = request.dry_run;
    made.skip_null = request.skip_null;
    made.forms = request.forms;
    if (!is_composite(made.sql)) {
        refuse(serving.name, "it reads several tables, and the SELECT reads one, which is kept in another way",
               another_name(serving.name));
    }
    return made;
}

ReadView read_view(const CompositePlan& plan)
{
    return {plan.view(), plan.columns,
            fmt::format("CREATE OR REPLACE VIEW {} AS {}", plan.view().quoted(), composite_query(plan)),
            "rebuilding projection " + plan.name, ""};
}

CompositePlan checked_plan(pg::Connection& catalog, const Composite& serving, const CreateRequest& request,
                           std::vector<catalog::OpenNode>& nodes)
{
    CompositePlan plan = plan_composite(catalog, request, {members_so_far(catalog, serving.name), serving.view_schema});
    if (routed_member(plan).key_types !=
        read_projection(catalog, routed_member(catalog, serving.name)).definition.key_types) {
        refuse(serving.name, "its buckets are made by a key of another type", another_name(serving.name));
    }
    for (catalog::OpenNode& node : nodes) {
        try {
            refuse_views_in_the_way(*node.connection, read_view(plan));
        } catch (const FatalError& error) {
            refuse(serving.name, error.parts().why, "Drop them first; they can be made again over the new columns.");
        }
    }
    std::vector<std::string> alters;
    for (const Member& member : plan.members) {
        alters.insert(alters.end(), member.alters.begin(), member.alters.end());
    }
    if (!alters.empty() && !request.apply && !request.dry_run) {
        refuse_alters("rebuilding projection " + serving.name, alters);
    }
    return plan;
}

/// What it reads now, for the day when it is gone back to.
void keep_view(pg::Connection& catalog, const Composite& serving, pg::Connection& node)
{
    const std::string view = serving.view().quoted();
    const pg::Result query = node.query("SELECT pg_catalog.pg_get_viewdef($1::regclass)", {view});
    const pg::Result columns = node.query(
        "SELECT json_agg(json_build_object('name', attname, 'type', pg_catalog.format_type(atttypid, atttypmod)) ORDER BY attnum)::text "
        "FROM pg_catalog.pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
        {view});
    catalog.query(
        "UPDATE keyshift.composite SET view_query = $2, columns = $3 WHERE name = $1 AND serving AND view_query IS NULL",
        {serving.name, std::string(query.text(0, 0)), std::string(columns.text(0, 0))});
}

void record(pg::Connection& catalog, const CompositePlan& plan, const CreateRequest& request, int generation,
            std::int64_t keep_seconds)
{
    for (const Member& member : plan.members) {
        record_definition(catalog, member.definition, request.sql, member.base.id);
    }
    catalog.query(
        "INSERT INTO keyshift.composite (name, generation, serving, view_schema, sql, key, members, view_query, columns, "
        "keep_seconds) VALUES ($1, $2, false, $3, $4, $5, $6, $7, $8, $9)",
        {plan.name, std::to_string(generation), plan.view_schema, request.sql, catalog::write_array(request.key),
         catalog::write_array(member_names(plan)), composite_query(plan), columns_json(plan.columns).dump(),
         std::to_string(keep_seconds)});
    catalog::notify(catalog, "projection");
}

} // namespace

Json rebuild_composite(pg::Connection& catalog, const Composite& serving, const RebuildRequest& request)
{
    if (is_moving(catalog, serving.name)) {
        refuse(serving.name, "its buckets are being moved or wait for their grace period",
               "Wait for it, or cancel it: `keyshift reshard status`.");
    }
    const CreateRequest made = request_of(catalog, serving, request);
    if (!request.dry_run) {
        clear_successor(catalog, serving.name);
    }
    std::vector<catalog::OpenNode> nodes = catalog::open_nodes(catalog, "projection rebuild");
    CompositePlan plan = checked_plan(catalog, serving, made, nodes);
    const int generation = next_generation(catalog, serving.name);
    Json shown = plan_json(catalog, plan, made, nodes.size());
    shown["generation"] = generation;
    shown["keep_seconds"] = request.keep_seconds;
    if (request.dry_run) {
        return shown;
    }
    alter_bases(catalog, plan);
    const catalog::DistributedRoot root = root_of(catalog, serving.name);
    for (catalog::OpenNode& node : nodes) {
        pg::Transaction transaction(*node.connection);
        for (const Member& member : plan.members) {
            make_generation(*node.connection, node.node, member.definition, root);
            node.connection->script(view_statement(member.definition));
        }
        transaction.commit();
    }
    pg::Transaction transaction(catalog);
    hold_placement(catalog, serving.name, root);
    keep_view(catalog, serving, *nodes.front().connection);
    record(catalog, plan, made, generation, request.keep_seconds);
    transaction.commit();
    return shown;
}

Json rollback_composite(pg::Connection& catalog, const Composite& serving, bool dry_run)
{
    const std::string& name = serving.name;
    const auto refuse_rollback = [&](const std::string& why, const std::string& next) {
        throw RefusedError({"rolling projection " + name + " back", why, next});
    };
    const auto kept = read_composite_kept(catalog, name);
    if (!kept) {
        refuse_rollback("no earlier generation of it is kept",
                        "`keyshift projection rebuild " + name + " --sql ...` builds what it was before.");
    }
    if (const std::string state = state_of_successor(catalog, *kept); state != "verifying") {
        refuse_rollback(fmt::format("generation {} is {}, so it is not up to date", kept->generation, state),
                        "`keyshift projection show " + name + "` says why.");
    }
    if (read_composite_successor(catalog, name)) {
        refuse_rollback("a new generation is being built", "Wait for it: `keyshift projection show " + name + "`.");
    }
    if (!dry_run) {
        catalog.query("UPDATE keyshift.composite k SET keep_until = NULL, keep_seconds = greatest(s.keep_seconds, 60) "
                      "FROM keyshift.composite s WHERE k.name = $1 AND k.generation = $2 AND s.name = $1 AND s.serving",
                      {name, std::to_string(kept->generation)});
        catalog::notify(catalog, "projection");
    }
    return {
        {"projection", name}, {"generation", kept->generation}, {"replaces", serving.generation}, {"dry_run", dry_run}};
}

namespace {

/// From here on no move takes them with it, and no node that joins has them. False: a move is under way.
bool leave_group(pg::Connection& catalog, const std::string& group, const std::vector<Dropped>& parts)
{
    pg::Transaction transaction(catalog);
    catalog.query("LOCK TABLE keyshift.move IN SHARE ROW EXCLUSIVE MODE");
    if (is_moving(catalog, group)) {
        return false;
    }
    for (const Dropped& part : parts) {
        for (const Definition& generation : part.generations) {
            forget_tables(catalog, generation);
        }
    }
    transaction.commit();
    return true;
}

} // namespace

bool remove_generation(pg::Connection& catalog, const Composite& composite, const std::stop_token& stop)
{
    if (is_moving(catalog, composite.name)) {
        return false;
    }
    const std::string members = catalog::write_array(composite.members);
    const std::string generation = std::to_string(composite.generation);
    catalog.query("UPDATE keyshift.composite SET wanted = 'drop', keep_until = NULL, error = NULL "
                  "WHERE name = $1 AND generation = $2",
                  {composite.name, generation});
    catalog.query("UPDATE keyshift.projection SET wanted = 'drop', state = 'dropping' WHERE name = ANY($1)", {members});
    catalog::notify(catalog, "projection");
    std::vector<Dropped> parts;
    for (const std::string& member : composite.members) {
        parts.push_back(begin_drop(catalog, member));
    }
    if (!leave_group(catalog, composite.name, parts)) {
        return false;
    }
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
        pg::with_short_locks(
            *node.connection, [&] { drop_on(*node.connection, parts, std::nullopt); }, [] {}, stop);
    }
    pg::Transaction transaction(catalog);
    catalog.query("DELETE FROM keyshift.rejection WHERE projection = ANY($1)", {members});
    catalog.query("DELETE FROM keyshift.projection WHERE name = ANY($1)", {members});
    catalog.query("DELETE FROM keyshift.composite WHERE name = $1 AND generation = $2", {composite.name, generation});
    transaction.commit();
    return true;
}

double backfill_done(pg::Connection& catalog, const Composite& composite)
{
    double least = 1;
    for (const std::string& member : composite.members) {
        const Json shown = show(catalog, member);
        least = std::min(least, shown.value("backfill_done", 1.0));
    }
    return least;
}

std::string state_of_successor(pg::Connection& catalog, const Composite& composite)
{
    if (composite.error) {
        return "failed";
    }
    const pg::Result row = catalog.query(
        "SELECT CASE WHEN bool_or(p.state = 'failed') THEN 'failed' WHEN bool_or(p.state = 'paused' OR p.wanted = 'pause') THEN 'paused' "
        "WHEN bool_and(p.state = 'live' AND p.error IS NULL AND (NOT coalesce((p.definition ->> 'everywhere')::boolean, false) OR NOT EXISTS "
        "(SELECT FROM keyshift.node n WHERE n.state <> 'removed' AND NOT p.filled_nodes ? n.name))) THEN 'verifying' ELSE 'building' END "
        "FROM keyshift.projection p WHERE p.serving AND p.name = ANY ($1)",
        {catalog::write_array(composite.members)});
    return std::string(row.text(0, 0));
}

} // namespace keyshift::projections
