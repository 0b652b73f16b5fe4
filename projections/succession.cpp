#include "projections/succession.hpp"

#include "catalog/node_sql.hpp"
#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "core/pg/short_lock.hpp"
#include "projections/commands/lasting_differences.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/rejection_log.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;

std::size_t unexplained(pg::Connection& catalog, const Definition& definition, const Verdicts& verdicts)
{
    std::size_t count = 0;
    for (const auto& [row, verdict] : verdicts) {
        const std::string identity = nlohmann::json::parse(row).dump();
        count += catalog.query("SELECT FROM keyshift.rejection WHERE projection = $1 AND row_key = $2",
                               {definition.name, identity})
                             .rows() == 0
                     ? 1U
                     : 0U;
    }
    return count;
}

/// Rows whose events were rejected are missing in both generations, and are told of in keyshift.rejection.
void check(pg::Connection& catalog, const ProjectionRecord& record, const std::stop_token& stop)
{
    const Definition& definition = record.definition;
    Comparison comparison(catalog, record);
    SettledRows settled(catalog, definition);
    const std::size_t count =
        unexplained(catalog, definition, lasting_differences(comparison, settled, definition, Stalled::refuse, stop));
    if (count > 0) {
        throw FatalError(
            {fmt::format("rebuilding projection {}: generation {}", definition.name, definition.generation),
             fmt::format("{} of its rows differ from the definition", count),
             fmt::format("The other generation goes on serving. `keyshift projection rebuild {}` begins anew; "
                         "report this.",
                         definition.name)});
    }
}

void take_view(pg::Connection& node, const Definition& definition)
{
    node.script(view_statement(definition));
    node.query("UPDATE keyshift.local_table SET alias = NULL WHERE alias = $1::regclass AND root <> $2::regclass",
               {definition.view().quoted(), definition.table().quoted()});
    catalog::set_alias(node, definition.table(), definition.view());
}

void take_over_catalog(pg::Connection& catalog, const ProjectionRecord& record)
{
    pg::Transaction transaction(catalog);
    const std::string id = std::to_string(record.id);
    catalog.query(
        "UPDATE keyshift.projection SET serving = false, wanted = 'drop', state = 'dropping' WHERE name = $1 AND id <> $2",
        {record.definition.name, id});
    catalog.query("UPDATE keyshift.projection SET serving = true WHERE id = $1", {id});
    // What was rejected before this generation read the rows is in it as it is by now.
    catalog.query(
        "DELETE FROM keyshift.rejection r USING keyshift.projection p WHERE p.id = $1 AND r.projection = p.name "
        "AND r.kafka_offset < (p.start_offsets -> r.topic ->> r.partition::text)::bigint",
        {id});
    count_rejections(catalog, record.definition.name);
    catalog::notify(catalog, "projection");
    transaction.commit();
}

} // namespace

void succeed(const pg::ConnectionSettings& settings, std::int64_t id, std::stop_token stop)
{
    pg::Connection catalog(settings);
    const ProjectionRecord record = read_projection(catalog, id);
    check(catalog, record, stop);
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
        // Readers of the old generation are waited for in short tries: nobody queues behind this.
        pg::with_short_locks(
            *node.connection, [&] { take_view(*node.connection, record.definition); }, [] {}, stop);
        failpoint("projection.succession.node");
    }
    take_over_catalog(catalog, record);
    failpoint("projection.succession.recorded");
    log::info("projections", "projection={} generation={} serves", record.definition.name,
              record.definition.generation);
}

namespace {

/// The moves of a group take all its tables with them. From here on none that begins knows this one.
bool leave_group(pg::Connection& catalog, const Definition& old)
{
    pg::Transaction transaction(catalog);
    catalog.query("LOCK TABLE keyshift.move IN SHARE ROW EXCLUSIVE MODE");
    if (catalog
            .query("SELECT FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('done', 'aborted')", {old.name})
            .rows() > 0) {
        return false;
    }
    catalog.query("DELETE FROM keyshift.captured_table WHERE schema_name = $1 AND table_name = $2",
                  {old.table().schema, old.table().name});
    transaction.commit();
    return true;
}

} // namespace

void remove_succeeded(const pg::ConnectionSettings& settings, const std::string& projection, std::stop_token stop)
{
    pg::Connection catalog(settings);
    for (const ProjectionRecord& old : succeeded_generations(catalog, projection)) {
        Backoff backoff(500ms, 10s);
        while (!leave_group(catalog, old.definition)) {
            if (!backoff.wait(stop)) {
                return;
            }
        }
        for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
            pg::with_short_locks(
                *node.connection, [&] { drop_generation(*node.connection, old.definition); }, [] {}, stop);
        }
        catalog.query("DELETE FROM keyshift.projection WHERE id = $1", {std::to_string(old.id)});
        log::info("projections", "projection={} generation={} is gone", projection, old.definition.generation);
    }
}

} // namespace keyshift::projections
