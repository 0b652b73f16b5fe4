#include "catalog/operations/node_options.hpp"

#include "catalog/catalog.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace keyshift::catalog {

namespace {

struct Unit {
    std::string group;
    std::string bucket;
};

/// "users/17", of a group that there is.
Unit read_unit(pg::Connection& catalog, const std::string& text)
{
    const std::size_t slash = text.rfind('/');
    std::uint32_t bucket = 0;
    const char* begin = text.data() + (slash == std::string::npos ? text.size() : slash + 1);
    const char* end = text.data() + text.size();
    const auto [read, failure] = std::from_chars(begin, end, bucket);
    if (slash == std::string::npos || failure != std::errc() || read != end) {
        throw Error(ErrorKind::usage, {"pinning " + text, "it is no bucket", "Write GROUP/BUCKET: users/17."});
    }
    const Group of = group(catalog, text.substr(0, slash));
    if (!of.buckets.contains(BucketId{bucket})) {
        throw RefusedError({"pinning " + text, fmt::format("group {} has no bucket {}", of.name, bucket),
                            "`keyshift table show` lists the buckets of a table."});
    }
    return {of.name, std::to_string(bucket)};
}

void pin(pg::Connection& catalog, const std::string& node, const std::string& text)
{
    const Unit unit = read_unit(catalog, text);
    const pg::Result rows = catalog.query(
        "INSERT INTO keyshift.pin AS p (group_name, bucket, node) VALUES ($1, $2, $3) ON CONFLICT (group_name, bucket) "
        "DO UPDATE SET node = p.node RETURNING node",
        {unit.group, unit.bucket, node});
    if (rows.text(0, 0) != node) {
        throw RefusedError({"pinning " + text + " to " + node, fmt::format("it is pinned to {}", rows.text(0, 0)),
                            fmt::format("First: `keyshift node set {} --unpin {}`.", rows.text(0, 0), text)});
    }
}

void unpin(pg::Connection& catalog, const std::string& node, const std::string& text)
{
    const Unit unit = read_unit(catalog, text);
    const pg::Result gone =
        catalog.query("DELETE FROM keyshift.pin WHERE group_name = $1 AND bucket = $2::int AND node = $3",
                      {unit.group, unit.bucket, node});
    if (gone.affected() != 1) {
        throw RefusedError(
            {"unpinning " + text, "it is not pinned to " + node, "See `keyshift node show " + node + "`."});
    }
}

} // namespace

nlohmann::json node_options(pg::Connection& catalog, const std::string& name)
{
    const pg::Result rows = catalog.query(
        "SELECT capacity, disk_limit, coalesce((SELECT pg_catalog.json_agg(p.group_name || '/' || p.bucket ORDER BY p.group_name, p.bucket) "
        "FROM keyshift.pin p WHERE p.node = n.name), '[]') FROM keyshift.node n WHERE name = $1",
        {name});
    return {{"node", name},
            {"capacity", rows.real(0, 0)},
            {"disk_limit", rows.is_null(0, 1) ? nlohmann::json() : nlohmann::json(rows.integer(0, 1))},
            {"pins", nlohmann::json::parse(rows.text(0, 2))}};
}

nlohmann::json set_node_options(pg::Connection& catalog, const NodeOptions& request)
{
    check_version(catalog);
    const Node one = node(catalog, request.node);
    if (request.capacity && !(*request.capacity > 0 && std::isfinite(*request.capacity))) {
        throw Error(ErrorKind::usage, {"node set " + one.name, "a capacity is above 0",
                                       "A node that shall take nothing is drained: `keyshift node drain`."});
    }
    pg::Transaction transaction(catalog);
    if (request.capacity) {
        catalog.query("UPDATE keyshift.node SET capacity = $2::float8 WHERE name = $1",
                      {one.name, fmt::format("{}", *request.capacity)});
    }
    if (request.disk_limit) {
        catalog.query("UPDATE keyshift.node SET disk_limit = nullif($2::bigint, 0) WHERE name = $1",
                      {one.name, std::to_string(*request.disk_limit)});
    }
    for (const std::string& unit : request.unpin) {
        unpin(catalog, one.name, unit);
    }
    for (const std::string& unit : request.pin) {
        pin(catalog, one.name, unit);
    }
    nlohmann::json result = node_options(catalog, one.name);
    result["dry_run"] = request.dry_run;
    if (!request.dry_run) {
        transaction.commit();
    }
    return result;
}

} // namespace keyshift::catalog
