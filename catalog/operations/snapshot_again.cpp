#include "catalog/operations.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <set>

namespace keyshift::catalog {

namespace {

struct Part {
    std::string node;
    std::uint32_t bucket = 0;
};

CapturedTable find(pg::Connection& catalog, const QualifiedName& name, const std::optional<std::string>& node_name)
{
    const std::string what = "cdc snapshot " + name.to_string();
    std::vector<CapturedTable> found;
    std::vector<std::string> nodes;
    for (CapturedTable& table : tables(catalog)) {
        if (table.name == name && (table.node.empty() || !node_name || table.node == *node_name)) {
            nodes.push_back(table.node);
            found.push_back(std::move(table));
        }
    }
    if (found.empty()) {
        throw RefusedError({what, node_name ? "it is not captured on " + *node_name : "it is not captured",
                            "See `keyshift table list`; capture it with `keyshift table capture`."});
    }
    if (found.size() > 1) {
        throw RefusedError(
            {what, "several nodes have a captured table of that name: " + join(nodes), "Say which with --node."});
    }
    return found.front();
}

std::vector<Part> parts_of(pg::Connection& catalog, const CapturedTable& table,
                           const std::optional<std::string>& node_name)
{
    if (table.group.empty()) {
        return {{table.node, 0}};
    }
    std::vector<Part> parts;
    for (const auto& [bucket, place] : placement(catalog, table.group)) {
        if (!node_name || place.node == *node_name) {
            parts.push_back({place.node, number(bucket)});
        }
    }
    if (parts.empty()) {
        throw RefusedError({fmt::format("cdc snapshot {} of {}", table.name.to_string(), *node_name),
                            "the node owns none of its buckets", "See `keyshift table show`."});
    }
    return parts;
}

/// Parts that will not go on.
std::int64_t ended(const nlohmann::json& progress)
{
    return progress["done"].get<std::int64_t>() + progress["failed"].get<std::int64_t>() +
           progress["cancelled"].get<std::int64_t>();
}

void refuse_unless_at_rest(pg::Connection& catalog, const CapturedTable& table)
{
    const std::string what = "cdc snapshot " + table.name.to_string();
    const nlohmann::json reading = snapshot_progress(catalog, table.id);
    const auto total = reading["total"].get<std::int64_t>();
    const std::int64_t left = total - ended(reading);
    if (left > 0) {
        throw RefusedError(
            {what, fmt::format("its rows are being read into the topic already: {} of {} parts are left", left, total),
             fmt::format("Wait until they are there (`keyshift cdc status`), or `keyshift cdc snapshot {} --cancel`.",
                         table.name.to_string())});
    }
    const pg::Result moving = catalog.query("SELECT j.id FROM keyshift.job j JOIN keyshift.move m ON m.job = j.id "
                                            "WHERE j.state IN ('running', 'paused') AND m.group_name = $1 LIMIT 1",
                                            {table.group});
    if (moving.rows() > 0) {
        throw RefusedError({what, fmt::format("job {} is moving its buckets", moving.text(0, 0)),
                            fmt::format("Wait for it (`keyshift reshard status {}`).", moving.text(0, 0))});
    }
}

/// As one statement on each node, whose parser is the only judge of SQL.
void check_condition(pg::Connection& catalog, const CapturedTable& table, const std::string& where,
                     const std::set<std::string>& nodes)
{
    for (const std::string& name : nodes) {
        pg::Connection connection(node(catalog, name).connection("cdc snapshot: check"));
        try {
            connection.query(fmt::format("SELECT FROM {} WHERE ({}\n) LIMIT 0", table.name.quoted(), where), {});
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::transient || error.kind() == ErrorKind::unreachable) {
                throw;
            }
            throw RefusedError({fmt::format("cdc snapshot {} on {}: --where", table.name.to_string(), name),
                                error.parts().why, "Write a condition on the table's columns, as after WHERE."});
        }
    }
}

} // namespace

nlohmann::json snapshot_progress(pg::Connection& catalog, std::int64_t table_id)
{
    const pg::Result rows = catalog.query(
        "SELECT json_build_object('done', count(*) FILTER (WHERE state = 'done'), 'failed', count(*) FILTER (WHERE state = 'failed'), "
        "'cancelled', count(*) FILTER (WHERE state = 'cancelled'), 'total', count(*), 'rows', coalesce(sum(rows), 0), "
        "'estimate', sum(estimate), 'error', (array_agg(error) FILTER (WHERE error IS NOT NULL))[1])::text "
        "FROM keyshift.snapshot WHERE table_id = $1::bigint",
        {std::to_string(table_id)});
    return nlohmann::json::parse(rows.text(0, 0));
}

nlohmann::json cancel_snapshot(pg::Connection& catalog, const SnapshotAgain& request)
{
    check_version(catalog);
    const CommandLock lock(catalog, "cdc snapshot");
    const CapturedTable table = find(catalog, QualifiedName::parse(request.table), request.node);
    const std::string parts =
        "table_id = $1::bigint AND state IN ('pending', 'running', 'failed') AND ($2 = '' OR node = $2)";
    const std::string id = std::to_string(table.id);
    const std::string node_name = request.node.value_or("");
    const std::int64_t count =
        catalog.query("SELECT count(*) FROM keyshift.snapshot WHERE " + parts, {id, node_name}).integer(0, 0);
    if (count == 0) {
        throw RefusedError({"cdc snapshot " + table.name.to_string() + " --cancel", "no snapshot of it is under way",
                            "See `keyshift cdc status`."});
    }
    if (!request.dry_run) {
        catalog.query(
            "UPDATE keyshift.snapshot SET state = 'cancelled', ranges = NULL, updated_at = pg_catalog.now() WHERE " +
                parts,
            {id, node_name});
    }
    return {{"table", table.name.to_string()}, {"parts", count}, {"dry_run", request.dry_run}};
}

nlohmann::json snapshot_again(pg::Connection& catalog, const SnapshotAgain& request)
{
    check_version(catalog);
    const CommandLock lock(catalog, "cdc snapshot");
    if (request.node) {
        static_cast<void>(node(catalog, *request.node)); // refuses an unknown one
    }
    const CapturedTable table = find(catalog, QualifiedName::parse(request.table), request.node);
    const std::string where = request.where.empty() ? "true" : request.where;
    const std::vector<Part> parts = parts_of(catalog, table, request.node);
    std::set<std::string> nodes;
    for (const Part& part : parts) {
        nodes.insert(part.node);
    }
    refuse_unless_at_rest(catalog, table);
    check_condition(catalog, table, where, nodes);
    if (!request.dry_run) {
        pg::Transaction transaction(catalog);
        const std::string id = std::to_string(table.id);
        catalog.query("DELETE FROM keyshift.snapshot WHERE table_id = $1::bigint", {id});
        for (const Part& part : parts) {
            catalog.query("INSERT INTO keyshift.snapshot (table_id, node, bucket, condition) "
                          "VALUES ($1::bigint, $2, $3::int, $4)",
                          {id, part.node, std::to_string(part.bucket), where});
        }
        notify(catalog, "table");
        transaction.commit();
    }
    return {{"table", table.name.to_string()}, {"table_id", table.id}, {"where", where},
            {"parts", parts.size()},           {"nodes", nodes},       {"dry_run", request.dry_run}};
}

} // namespace keyshift::catalog
