#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "core/names.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

/// Live rows on the nodes that own them.
std::int64_t count_rows(pg::Connection& catalog, const Definition& definition)
{
    std::int64_t rows = 0;
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection show")) {
        const bool groups = definition.aggregation.has_value();
        const QualifiedName table = groups ? definition.totals() : definition.table();
        const pg::Result counted = node.connection->query(
            "SELECT count(*) FROM " + table.quoted() + " p WHERE " + (groups ? "_n > 0" : "_live") +
                " AND NOT EXISTS (SELECT FROM keyshift.local_bucket b WHERE b.group_name = $1 "
                "AND b.state <> 'open' AND p.tableoid = to_regclass(quote_ident('keyshift') || '.' || quote_ident($2 || '_b' || b.bucket)))",
            {definition.name, table.name});
        rows += counted.integer(0, 0);
    }
    return rows;
}

/// How far each base node is shown, by the projection's node that is least far.
Json freshness(pg::Connection& catalog, const Definition& definition)
{
    std::vector<catalog::OpenNode> nodes = catalog::open_nodes(catalog, "projection show");
    std::map<std::string, Lsn> shown;
    for (catalog::OpenNode& node : nodes) {
        const pg::Result rows = node.connection->query(
            "SELECT node, lsn FROM keyshift.projection_source WHERE projection = $1 AND generation = $2",
            {definition.name, std::to_string(definition.generation)});
        for (int row = 0; row < rows.rows(); ++row) {
            const auto [at, first] = shown.try_emplace(std::string(rows.text(row, 0)), rows.lsn(row, 1));
            at->second = std::min(at->second, rows.lsn(row, 1));
        }
    }
    Json fresh = Json::array();
    for (catalog::OpenNode& node : nodes) {
        if (const auto known = shown.find(node.node.name); known != shown.end()) {
            const Lsn now = node.connection->query("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
            fresh.push_back({{"node", node.node.name},
                             {"lsn", known->second.to_string()},
                             {"behind_bytes", now.value - std::min(now, known->second).value}});
        }
    }
    return fresh;
}

double base_buckets(pg::Connection& catalog, const Definition& definition)
{
    const pg::Result buckets = catalog.query(
        "SELECT greatest(count(b.bucket), 1) FROM keyshift.captured_table t "
        "LEFT JOIN keyshift.bucket b ON b.group_name = t.group_name WHERE t.schema_name = $1 AND t.table_name = $2",
        {definition.base.schema, definition.base.name});
    return static_cast<double>(buckets.integer(0, 0));
}

Json rebuild_of(pg::Connection& catalog, const ProjectionRecord& successor)
{
    const pg::Result row = catalog.query(
        "SELECT (SELECT count(*) FROM jsonb_object_keys(backfill)), error::text FROM keyshift.projection WHERE id = $1",
        {std::to_string(successor.id)});
    return {
        {"generation", successor.definition.generation},
        {"state", successor.state == "live" ? "verifying" : successor.state},
        {"backfill_done",
         row.rows() == 0 ? 1.0 : static_cast<double>(row.integer(0, 0)) / base_buckets(catalog, successor.definition)},
        {"error", row.rows() == 0 || row.is_null(0, 1) ? Json() : Json::parse(row.text(0, 1))}};
}

void wish(pg::Connection& catalog, const std::string& name, const std::string& wanted)
{
    static_cast<void>(read_projection(catalog, name));
    catalog.query(
        "UPDATE keyshift.projection SET wanted = $2, state = CASE WHEN $2 = 'run' AND state = 'failed' THEN 'building' ELSE state END "
        "WHERE name = $1 AND wanted <> 'drop'",
        {name, wanted});
    catalog::notify(catalog, "projection");
}

} // namespace

Json list(pg::Connection& catalog)
{
    const pg::Result row = catalog.query(
        "SELECT coalesce(json_agg(json_build_object('name', name, 'generation', generation, 'state', CASE WHEN wanted = 'pause' THEN 'paused' ELSE state END, 'key', coalesce(definition->'aggregation'->'key', definition->'key'), "
        "'lag_seconds', lag_seconds, 'rejections', rejections) ORDER BY name), '[]')::text FROM keyshift.projection WHERE serving");
    return Json::parse(row.text(0, 0));
}

Json show(pg::Connection& catalog, const std::string& name)
{
    const ProjectionRecord record = read_projection(catalog, name);
    const pg::Result row = catalog.query(
        "SELECT lag_seconds, rejections, error::text, (SELECT count(*) FROM jsonb_object_keys(backfill)) FROM keyshift.projection WHERE id = $1",
        {std::to_string(record.id)});
    Json shown{{"name", name},
               {"generation", record.definition.generation},
               {"state", record.wanted == "pause" ? "paused" : record.state},
               {"key", shown_key(record.definition)},
               {"lag_seconds", row.is_null(0, 0) ? Json() : Json(row.real(0, 0))},
               {"rows", count_rows(catalog, record.definition)},
               {"rejections", row.integer(0, 1)},
               {"sql", record.sql},
               {"view", record.definition.view().to_string()},
               {"error", row.is_null(0, 2) ? Json() : Json::parse(row.text(0, 2))},
               {"freshness", freshness(catalog, record.definition)}};
    if (record.state == "building") {
        shown["backfill_done"] = static_cast<double>(row.integer(0, 3)) / base_buckets(catalog, record.definition);
    }
    if (const auto successor = read_successor(catalog, name)) {
        shown["rebuild"] = rebuild_of(catalog, *successor);
    }
    return shown;
}

void pause(pg::Connection& catalog, const std::string& name)
{
    wish(catalog, name, "pause");
}

void resume(pg::Connection& catalog, const std::string& name)
{
    wish(catalog, name, "run");
}

} // namespace keyshift::projections
