#include "daemon/status_report.hpp"

#include "catalog/operations.hpp"
#include "catalog/reference_check.hpp"
#include "core/json.hpp"
#include "daemon/command_context.hpp"

#include <fmt/core.h>

namespace keyshift::daemon {

namespace {

using Json = nlohmann::json;

/// The first column of the first row, which the query made JSON.
Json json_of(pg::Connection& catalog, const std::string& query, std::initializer_list<pg::Parameter> parameters = {})
{
    const pg::Result result = catalog.query(query, parameters);
    return result.is_null(0, 0) ? Json::array() : Json::parse(result.text(0, 0));
}

} // namespace

Json cdc_status(pg::Connection& catalog)
{
    // A status that the daemon has not renewed for ten seconds says what was, not what is.
    return json_of(catalog, R"(
SELECT json_agg(json_build_object('node', n.name,
           'state', CASE WHEN n.capture_paused THEN 'paused' WHEN s.node IS NULL THEN 'waiting' WHEN s.at < now() - interval '10 seconds' AND s.state <> 'stopped' THEN 'waiting' ELSE s.state END,
           'slot', n.slot, 'confirmed_lsn', s.confirmed_lsn, 'current_lsn', s.current_lsn, 'lag_bytes', s.lag_bytes,
           'lag_seconds', s.lag_seconds, 'retained_bytes', s.retained_bytes, 'wal_status', s.wal_status, 'dead_letters', coalesce(s.dead_letters, 0),
           'left_out', coalesce(s.left_out, '[]'), 'snapshots', coalesce(p.snapshots, '[]'), 'error', s.error) ORDER BY n.name)::text
FROM keyshift.node n LEFT JOIN keyshift.stream_status s ON s.node = n.name
LEFT JOIN LATERAL (SELECT json_agg(json_build_object('table', t.schema_name || '.' || t.table_name, 'state', x.state, 'rows', x.rows,
           'estimate', x.estimate, 'rows_per_second', x.rate, 'chunks', x.chunks, 'parts_done', x.done, 'parts', x.parts,
           'condition', nullif(x.condition, 'true'), 'error', x.error) ORDER BY t.schema_name, t.table_name) AS snapshots
    FROM (SELECT table_id, CASE WHEN bool_or(state = 'failed') THEN 'failed' WHEN bool_or(state = 'running') THEN 'running' ELSE 'pending' END AS state,
              sum(rows) AS rows, sum(estimate) AS estimate, sum(chunks) AS chunks, count(*) FILTER (WHERE state = 'done') AS done, count(*) AS parts,
              round(sum(rows) / nullif(extract(epoch FROM max(updated_at) - min(started_at)), 0))::bigint AS rate,
              min(condition) AS condition, (array_agg(error) FILTER (WHERE error IS NOT NULL))[1] AS error
          FROM keyshift.snapshot WHERE node = n.name GROUP BY table_id
          HAVING bool_or(state IN ('pending', 'running', 'failed'))) x
    JOIN keyshift.captured_table t ON t.id = x.table_id) p ON true
WHERE n.state <> 'removed')");
}

Json status_report(pg::Connection& catalog)
{
    Json report = Json::object();
    const bool runs = daemon_runs(catalog);
    report["daemon"] =
        runs
            ? json_of(
                  catalog,
                  "SELECT (json_build_object('running', true, 'host', host, 'pid', pid, 'version', version, 'http', http, "
                  "'started_at', started_at))::text FROM keyshift.daemon")
            : Json{{"running", false}};
    report["daemon"]["standbys"] = json_of(
        catalog,
        "SELECT json_agg(json_build_object('host', client_addr, 'since', backend_start) ORDER BY backend_start)::text "
        "FROM pg_stat_activity WHERE application_name = 'keyshift standby' AND datname = current_database()");
    report["nodes"] = catalog::list_nodes(catalog);
    report["streams"] = cdc_status(catalog);
    report["tables"] = catalog::list_tables(catalog);
    report["references"] = Json::array();
    for (const catalog::CapturedTable& table : catalog::tables(catalog)) {
        for (Json& copy : table.reference ? catalog::reference_copies(catalog, table.id) : Json::array()) {
            copy["table"] = table.name.to_string();
            copy["home"] = table.node;
            report["references"].push_back(std::move(copy));
        }
    }
    report["jobs"] = json_of(catalog, R"(
SELECT json_agg(json_build_object('job', j.id, 'state', j.state, 'moved', m.moved, 'total', m.total, 'error', j.error) ORDER BY j.id DESC)::text
FROM (SELECT * FROM keyshift.job ORDER BY id DESC LIMIT 5) j, LATERAL (SELECT count(*) AS total,
      count(*) FILTER (WHERE state IN ('switched', 'settling', 'done')) AS moved FROM keyshift.move WHERE job = j.id) m)");
    report["projections"] = json_of(catalog, R"(
SELECT json_agg(json_build_object('name', name, 'state', state, 'generation', generation, 'lag_seconds', lag_seconds, 'rejections', rejections, 'error', error) ORDER BY name)::text FROM keyshift.shown_projection)");
    return report;
}

} // namespace keyshift::daemon
