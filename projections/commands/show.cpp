#include "projections/commands/composite.hpp"
#include "projections/commands/composite_rebuild.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "core/json.hpp"
#include "core/names.hpp"

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
            {definition.group, table.name});
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

/// The generation that one may go back to.
Json previous_of(pg::Connection& catalog, const ProjectionRecord& kept)
{
    return {{"generation", kept.definition.generation},
            {"state", kept.wanted == "pause" ? "paused" : kept.state},
            {"sql", kept.sql},
            {"until", catalog
                          .query("SELECT to_char(keep_until AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
                                 "FROM keyshift.projection WHERE id = $1",
                                 {std::to_string(kept.id)})
                          .text(0, 0)}};
}

void wish(pg::Connection& catalog, const std::string& name, const std::string& wanted)
{
    const std::vector<std::string> members = members_of(catalog, name);
    static_cast<void>(read_projection(catalog, members.front()));
    catalog.query(
        "UPDATE keyshift.projection SET wanted = $2, state = CASE WHEN $2 = 'run' AND state = 'failed' THEN 'building' ELSE state END "
        "WHERE name = ANY($1) AND wanted <> 'drop'",
        {catalog::write_array(members), wanted});
    catalog::notify(catalog, "projection");
}

} // namespace

Json list(pg::Connection& catalog)
{
    const pg::Result row = catalog.query(
        "SELECT coalesce(json_agg(json_build_object('name', name, 'generation', generation, 'state', state, 'key', key, "
        "'lag_seconds', lag_seconds, 'rejections', rejections, 'error', error) ORDER BY name), '[]')::text FROM keyshift.shown_projection");
    return Json::parse(row.text(0, 0));
}

namespace {

Json show_one(pg::Connection& catalog, const std::string& name)
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
    if (const auto kept = read_kept(catalog, name)) {
        shown["previous"] = previous_of(catalog, *kept);
    }
    return shown;
}

/// Rows of the view on the nodes that own them; what a fenced bucket has left is not counted.
std::int64_t count_view(pg::Connection& catalog, const Composite& composite)
{
    const QualifiedName view = composite.view();
    std::string key;
    for (const std::string& column : composite.key) {
        key += (key.empty() ? "v." : ", v.") + quote_identifier(column) + "::text";
    }
    std::int64_t rows = 0;
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection show")) {
        rows +=
            node.connection
                ->query(
                    "SELECT count(*) FROM " + view.quoted() +
                        " v WHERE NOT EXISTS (SELECT FROM keyshift.local_bucket WHERE group_name = $1 AND state = 'fenced') "
                        "OR keyshift.owns($2::regclass, VARIADIC ARRAY[" +
                        key + "])",
                    {composite.name, view.quoted()})
                .integer(0, 0);
    }
    return rows;
}

/// Each base node as its members show it that show least of it.
Json least_fresh(const Json& members)
{
    std::map<std::string, Json> least;
    for (const Json& member : members) {
        for (const Json& fresh : member.at("freshness")) {
            Json& known = least[fresh.at("node")];
            if (known.is_null() || fresh.at("behind_bytes") > known.at("behind_bytes")) {
                known = fresh;
            }
        }
    }
    Json fresh = Json::array();
    for (const auto& [node, shown] : least) {
        fresh.push_back(shown);
    }
    return fresh;
}

/// Its own, or that of the first member that has one.
Json error_of(pg::Connection& catalog, const Composite& composite)
{
    if (composite.error) {
        return Json::parse(*composite.error);
    }
    const pg::Result rows = catalog.query(
        "SELECT error::text FROM keyshift.projection WHERE serving AND error IS NOT NULL AND name = ANY ($1) ORDER BY name LIMIT 1",
        {catalog::write_array(composite.members)});
    return rows.rows() == 0 ? Json() : Json::parse(rows.text(0, 0));
}

Json show_composite(pg::Connection& catalog, const Composite& composite)
{
    Json members = Json::array();
    double backfilled = 1;
    for (const std::string& name : composite.members) {
        Json& member = members.emplace_back(show_one(catalog, name));
        const Definition definition = read_projection(catalog, name).definition;
        member["base"] = definition.base.to_string();
        member["everywhere"] = definition.everywhere;
        backfilled = std::min(backfilled, member.value("backfill_done", 1.0));
    }
    const pg::Result row = catalog.query(
        "SELECT generation, state, lag_seconds, rejections, error::text FROM keyshift.shown_projection WHERE name = $1",
        {composite.name});
    Json shown{{"name", composite.name},
               {"generation", row.integer(0, 0)},
               {"state", row.text(0, 1)},
               {"key", composite.key},
               {"lag_seconds", row.is_null(0, 2) ? Json() : Json(row.real(0, 2))},
               {"rows", count_view(catalog, composite)},
               {"rejections", row.integer(0, 3)},
               {"sql", composite.sql},
               {"view", composite.view().to_string()},
               {"error", row.is_null(0, 4) ? Json() : Json::parse(row.text(0, 4))},
               {"freshness", least_fresh(members)}};
    if (shown["state"] == "building") {
        shown["backfill_done"] = backfilled;
    }
    for (Json& member : members) {
        if (member.contains("rebuild")) {
            shown["rebuild"] = member["rebuild"]; // a truncated table's
        }
        for (const char* whole : {"sql", "view", "freshness", "key"}) {
            member.erase(whole);
        }
    }
    shown["tables"] = std::move(members);
    if (const auto successor = read_composite_successor(catalog, composite.name)) {
        shown["rebuild"] = {{"generation", successor->generation},
                            {"state", state_of_successor(catalog, *successor)},
                            {"backfill_done", backfill_done(catalog, *successor)},
                            {"error", error_of(catalog, *successor)}};
    }
    if (const auto kept = read_composite_kept(catalog, composite.name)) {
        shown["previous"] = {{"generation", kept->generation},
                             {"state", state_of_successor(catalog, *kept) == "verifying" ? "live" : "behind"},
                             {"sql", kept->sql},
                             {"until", kept->keep_until}};
    }
    return shown;
}

} // namespace

Json show(pg::Connection& catalog, const std::string& name)
{
    const auto composite = read_composite(catalog, name);
    return composite ? show_composite(catalog, *composite) : show_one(catalog, name);
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
