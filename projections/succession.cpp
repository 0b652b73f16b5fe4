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

#include <algorithm>
#include <memory>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;

/// Rows that the generation which serves shows and this one could not use, beyond those whose events neither could use.
std::size_t lost_rows(pg::Connection& catalog, const ProjectionRecord& record)
{
    const pg::Result rows = catalog.query(
        "SELECT DISTINCT r.row_key::jsonb::text FROM keyshift.rejection r JOIN keyshift.projection p ON p.id = $1 AND p.name = r.projection "
        "WHERE r.topic = '' AND r.at >= p.created_at AND NOT EXISTS (SELECT FROM keyshift.rejection o "
        "WHERE o.projection = r.projection AND o.row_key = r.row_key AND o.topic <> '')",
        {std::to_string(record.id)});
    std::vector<RowKey> rejected;
    for (int row = 0; row < rows.rows(); ++row) {
        rejected.emplace_back(rows.text(row, 0));
    }
    if (rejected.empty()) {
        return 0;
    }
    const ProjectionRecord serving = read_projection(catalog, record.definition.name);
    const Registers held =
        Comparison(catalog, serving, copies_of(catalog, serving.definition).front()).registers(rejected);
    return static_cast<std::size_t>(
        std::count_if(held.begin(), held.end(), [](const auto& one) { return one.second.live; }));
}

} // namespace

void check_generation(pg::Connection& catalog, const ProjectionRecord& record, const std::stop_token& stop)
{
    const Definition& definition = record.definition;
    if (const std::size_t lost = lost_rows(catalog, record); lost > 0) {
        throw FatalError(
            {fmt::format("rebuilding projection {}: generation {}", definition.name, definition.generation),
             fmt::format("{} rows that generation {} shows could not be used", lost, definition.generation - 1),
             fmt::format(
                 "The other generation goes on serving. `keyshift rejections list {0}` says why; mend the cause, then "
                 "`keyshift projection rebuild {0}` begins anew.",
                 definition.name)});
    }
    std::size_t count = 0;
    for (const std::string& copy : copies_of(catalog, definition)) {
        Comparison comparison(catalog, record, copy);
        SettledRows settled(catalog, definition);
        count += lasting_differences(comparison, settled, definition, Stalled::refuse, stop).size();
    }
    if (count > 0) {
        throw FatalError(
            {fmt::format("rebuilding projection {}: generation {}", definition.name, definition.generation),
             fmt::format("{} of its rows differ from the definition", count),
             fmt::format("The other generation goes on serving. `keyshift projection rebuild {}` begins anew; "
                         "report this.",
                         definition.name)});
    }
}

std::unique_ptr<catalog::CommandLock> lock_commands(pg::Connection& catalog, const std::string& name,
                                                    const std::stop_token& stop)
{
    const std::string what = "rebuilding projection " + name;
    Backoff backoff(200ms, 5s);
    while (true) {
        try {
            return std::make_unique<catalog::CommandLock>(catalog, what);
        } catch (const RefusedError&) {
            if (!backoff.wait(stop)) {
                throw TransientError({what, "the daemon stops", "It goes on at its next start."});
            }
        }
    }
}

void wait_for_joined(Backoff& backoff, const std::string& projection, const std::stop_token& stop)
{
    if (!backoff.wait(stop)) {
        throw TransientError(
            {"rebuilding projection " + projection, "the daemon stops", "It goes on at its next start."});
    }
}

namespace {

void take_view(pg::Connection& node, const Definition& definition)
{
    turn_view(node, read_view(definition));
    if (!definition.routed_as_schema.empty()) {
        node.query("UPDATE keyshift.local_table SET alias = NULL WHERE alias = $1::regclass AND root <> $2::regclass",
                   {definition.routed_as().quoted(), definition.table().quoted()});
        catalog::set_alias(node, definition.table(), definition.routed_as());
    }
}

/// Its view reads its table, or of groups perhaps their totals alone, and keys are routed to it by the view's name.
bool has_turned(pg::Connection& node, const Definition& definition)
{
    const bool routed =
        definition.routed_as_schema.empty() ||
        node.query("SELECT FROM keyshift.local_table WHERE root = to_regclass($1) AND alias = to_regclass($2)",
                   {definition.table().quoted(), definition.routed_as().quoted()})
                .rows() == 1;
    return routed &&
           node.query(
                   "SELECT FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass "
                   "WHERE r.ev_class = to_regclass($1) AND d.refobjid IN (to_regclass($2), to_regclass($3))",
                   {definition.view().quoted(), definition.table().quoted(), definition.totals().quoted()})
                   .rows() > 0;
}

bool all_turned(pg::Connection& catalog, const Definition& definition)
{
    std::vector<catalog::OpenNode> nodes = catalog::open_nodes(catalog, "projection rebuild");
    return std::all_of(nodes.begin(), nodes.end(),
                       [&](catalog::OpenNode& node) { return has_turned(*node.connection, definition); });
}

void take_over_catalog(pg::Connection& catalog, const ProjectionRecord& record)
{
    pg::Transaction transaction(catalog);
    const std::string id = std::to_string(record.id);
    // Only one that is up to date stays so.
    catalog.query(
        "UPDATE keyshift.projection o SET serving = false, keep_until = k.until, wanted = CASE WHEN k.until IS NULL THEN 'drop' ELSE o.wanted END, "
        "state = CASE WHEN k.until IS NULL THEN 'dropping' ELSE o.state END "
        "FROM (SELECT o.id, CASE WHEN o.serving AND o.state = 'live' AND o.wanted = 'run' AND n.keep_seconds > 0 "
        "THEN now() + make_interval(secs => n.keep_seconds) END AS until FROM keyshift.projection o, keyshift.projection n "
        "WHERE n.id = $1 AND o.name = n.name AND o.id <> n.id) k WHERE o.id = k.id",
        {id});
    catalog.query("UPDATE keyshift.projection SET serving = true, keep_until = NULL WHERE id = $1", {id});
    // What was rejected before this generation read the rows is in it as it is by now.
    catalog.query(
        "DELETE FROM keyshift.rejection r USING keyshift.projection p WHERE p.id = $1 AND r.projection = p.name "
        "AND (r.topic = '' AND r.at < p.created_at OR r.kafka_offset < (p.start_offsets -> r.topic ->> r.partition::text)::bigint)",
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
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
        refuse_views_in_the_way(*node.connection, read_view(record.definition));
    }
    check_generation(catalog, record, stop);
    for (Backoff backoff(200ms, 5s);;) {
        for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection rebuild")) {
            // Readers of the old generation are waited for in short tries: nobody queues behind this.
            pg::with_short_locks(
                *node.connection, [&] { take_view(*node.connection, record.definition); }, [] {}, stop);
            failpoint("projection.succession.node");
        }
        {
            const auto lock = lock_commands(catalog, record.definition.name, stop);
            if (all_turned(catalog, record.definition)) {
                take_over_catalog(catalog, record);
                break;
            }
        }
        wait_for_joined(backoff, record.definition.name, stop);
    }
    failpoint("projection.succession.recorded");
    log::info("projections", "projection={} generation={} serves", record.definition.name,
              record.definition.generation);
}

namespace {

/// The moves of a group take all its tables with them, and a node that joins has them all. From here on neither knows this one.
/// False: a move is under way.
bool leave_group(pg::Connection& catalog, const Definition& old, const std::stop_token& stop)
{
    const auto lock = lock_commands(catalog, old.name, stop);
    pg::Transaction transaction(catalog);
    catalog.query("LOCK TABLE keyshift.move IN SHARE ROW EXCLUSIVE MODE");
    if (catalog
            .query("SELECT FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('done', 'aborted')", {old.group})
            .rows() > 0) {
        return false;
    }
    forget_tables(catalog, old);
    transaction.commit();
    return true;
}

} // namespace

void remove_succeeded(const pg::ConnectionSettings& settings, const std::string& projection, std::stop_token stop)
{
    pg::Connection catalog(settings);
    for (const ProjectionRecord& old : succeeded_generations(catalog, projection)) {
        Backoff backoff(500ms, 10s);
        while (!leave_group(catalog, old.definition, stop)) {
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
