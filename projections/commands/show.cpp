#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "core/names.hpp"

#include <nlohmann/json.hpp>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

/// Live rows on the nodes that own them.
std::int64_t count_rows(pg::Connection& catalog, const Definition& definition)
{
    std::int64_t rows = 0;
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection show")) {
        const pg::Result counted = node.connection->query(
            "SELECT count(*) FROM " + definition.table().quoted() +
                " p WHERE _live AND NOT EXISTS (SELECT FROM keyshift.local_bucket b WHERE b.group_name = $1 "
                "AND b.state <> 'open' AND p.tableoid = to_regclass(quote_ident('keyshift') || '.' || quote_ident($2 || '_b' || b.bucket)))",
            {definition.name, definition.table().name});
        rows += counted.integer(0, 0);
    }
    return rows;
}

void wish(pg::Connection& catalog, const std::string& name, const std::string& wanted)
{
    static_cast<void>(read_projection(catalog, name));
    catalog.query(
        "UPDATE keyshift.projection SET wanted = $2, state = CASE WHEN $2 = 'run' AND state = 'failed' THEN 'building' ELSE state END WHERE name = $1",
        {name, wanted});
    catalog::notify(catalog, "projection");
}

} // namespace

Json list(pg::Connection& catalog)
{
    const pg::Result row = catalog.query(
        "SELECT coalesce(json_agg(json_build_object('name', name, 'generation', generation, 'state', state, 'key', definition->'key', "
        "'lag_seconds', lag_seconds, 'rejections', rejections) ORDER BY name), '[]')::text FROM keyshift.projection");
    return Json::parse(row.text(0, 0));
}

Json show(pg::Connection& catalog, const std::string& name)
{
    const ProjectionRecord record = read_projection(catalog, name);
    const pg::Result row = catalog.query(
        "SELECT lag_seconds, rejections, error::text, (SELECT count(*) FROM jsonb_object_keys(backfill)) FROM keyshift.projection WHERE name = $1",
        {name});
    Json shown{{"name", name},
               {"generation", record.definition.generation},
               {"state", record.wanted == "pause" ? "paused" : record.state},
               {"key", record.definition.key},
               {"lag_seconds", row.is_null(0, 0) ? Json() : Json(row.real(0, 0))},
               {"rows", count_rows(catalog, record.definition)},
               {"rejections", row.integer(0, 1)},
               {"sql", record.sql},
               {"view", record.definition.view().to_string()},
               {"error", row.is_null(0, 2) ? Json() : Json::parse(row.text(0, 2))}};
    if (record.state == "building") {
        const pg::Result buckets = catalog.query(
            "SELECT coalesce(g.buckets, 1) FROM keyshift.captured_table t LEFT JOIN keyshift.table_group g ON g.name = t.group_name "
            "WHERE t.schema_name = $1 AND t.table_name = $2",
            {record.definition.base.schema, record.definition.base.name});
        shown["backfill_done"] =
            buckets.rows() == 0 ? 0.0
                                : static_cast<double>(row.integer(0, 3)) / static_cast<double>(buckets.integer(0, 0));
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
