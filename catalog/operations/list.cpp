#include "catalog/operations.hpp"

#include "catalog/node_sql.hpp"
#include "catalog/operations/node_options.hpp"
#include "catalog/option_json.hpp"
#include "catalog/reference_check.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <map>

namespace keyshift::catalog {

namespace {

nlohmann::json describe(pg::Connection& catalog, const Node& one)
{
    nlohmann::json groups_of_node = nlohmann::json::object();
    std::int64_t buckets = 0;
    const pg::Result rows = catalog.query(
        "SELECT group_name, count(*) FROM keyshift.bucket WHERE node = $1 GROUP BY 1 ORDER BY 1", {one.name});
    for (int row = 0; row < rows.rows(); ++row) {
        groups_of_node[std::string(rows.text(row, 0))] = rows.integer(row, 1);
        buckets += rows.integer(row, 1);
    }
    return {{"node", one.name},         {"state", one.state},           {"host", one.address.host},
            {"port", one.address.port}, {"dbname", one.address.dbname}, {"slot", one.slot},
            {"buckets", buckets},       {"groups", groups_of_node}};
}

nlohmann::json describe(const CapturedTable& table, const std::map<std::string, Group>& by_name)
{
    nlohmann::json one = {{"table", table.name.to_string()},
                          {"kind", table.reference       ? "reference"
                                   : table.group.empty() ? "captured"
                                   : table.captured      ? "distributed"
                                                         : "projection"}};
    if (table.group.empty()) {
        one["node"] = table.node;
    } else {
        one["group"] = table.group;
        one["key"] = table.key_columns;
        one["buckets"] = by_name.at(table.group).buckets.count();
        one["strict"] = table.strict;
    }
    return one;
}

std::map<std::string, Group> groups_by_name(pg::Connection& catalog)
{
    std::map<std::string, Group> by_name;
    for (Group& one : groups(catalog)) {
        by_name[one.name] = one;
    }
    return by_name;
}

} // namespace

nlohmann::json list_nodes(pg::Connection& catalog)
{
    check_version(catalog);
    nlohmann::json list = nlohmann::json::array();
    for (const Node& one : nodes(catalog)) {
        list.push_back(describe(catalog, one));
    }
    return list;
}

nlohmann::json show_node(pg::Connection& catalog, const std::string& name)
{
    check_version(catalog);
    const Node one = node(catalog, name);
    nlohmann::json result = describe(catalog, one);
    result.update(node_options(catalog, name));
    result["dsn"] = one.dsn;
    result["system_identifier"] = one.system_identifier;
    result["timeline"] = one.timeline;
    try {
        pg::Connection connection(one.connection("node show"));
        result["server_version"] = connection.server_version();
        result["reachable"] = true;
    } catch (const Error& error) {
        result["reachable"] = false;
        result["error"] = error.parts().why;
    }
    return result;
}

nlohmann::json list_tables(pg::Connection& catalog)
{
    check_version(catalog);
    const std::map<std::string, Group> by_name = groups_by_name(catalog);
    nlohmann::json list = nlohmann::json::array();
    for (const CapturedTable& table : tables(catalog)) {
        list.push_back(describe(table, by_name));
    }
    return list;
}

nlohmann::json show_table(pg::Connection& catalog, const std::string& text)
{
    check_version(catalog);
    const QualifiedName name = QualifiedName::parse(text);
    const std::map<std::string, Group> by_name = groups_by_name(catalog);
    std::vector<std::string> known;
    for (const CapturedTable& table : tables(catalog)) {
        known.push_back(table.name.to_string());
        if (table.name != name) {
            continue;
        }
        nlohmann::json result = describe(table, by_name);
        nlohmann::json buckets = nlohmann::json::array();
        if (!table.group.empty()) {
            const BucketLayout& layout = by_name.at(table.group).buckets;
            for (const auto& [bucket, place] : placement(catalog, table.group)) {
                buckets.push_back({{"bucket", number(bucket)},
                                   {"modulus", layout.modulus(bucket)},
                                   {"node", place.node},
                                   {"epoch", number(place.epoch)}});
            }
        }
        if (table.reference) {
            result["copies"] = reference_copies(catalog, table.id);
        }
        result["options"] = to_json(table.options);
        result["options"].erase("columns");
        result["placement"] = buckets;
        result["snapshot"] = snapshot_progress(catalog, table.id);
        return result;
    }
    throw RefusedError({"table " + name.to_string(), "it is not captured",
                        known.empty() ? "No table is captured yet." : "Known: " + join(known) + "."});
}

} // namespace keyshift::catalog
