#include "catalog/operations.hpp"

#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"
#include "core/bucket_map.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>

namespace keyshift::catalog {

namespace {

/// A table by its name; a projection by the name of its view.
CapturedTable find(pg::Connection& catalog, const std::string& given)
{
    const QualifiedName name = QualifiedName::parse(given);
    const pg::Result view =
        catalog.query("SELECT group_name FROM keyshift.shown_projection WHERE view_schema = $1 AND name = $2",
                      {name.schema, name.name});
    for (CapturedTable& table : tables(catalog)) {
        if (table.name == name || (view.rows() > 0 && table.group == view.text(0, 0))) {
            return table;
        }
    }
    std::vector<std::string> known;
    for (const CapturedTable& table : tables(catalog)) {
        known.push_back(table.name.to_string());
    }
    throw RefusedError({"route " + name.to_string(), "there is no such captured table or projection",
                        known.empty() ? "None is captured yet." : "Known: " + join(known) + "."});
}

std::optional<BucketId> compute(const Group& group, const std::vector<std::string>& key)
{
    std::vector<KeyType> types;
    std::vector<KeyValue> values;
    for (std::size_t i = 0; i < key.size(); ++i) {
        const std::optional<KeyType> type = key_type(group.key_types[i]);
        // What a user types may have more digits or letters than the type: PostgreSQL cuts them off first.
        if (!type || (*type != KeyType::text && group.key_types[i].find('(') != std::string::npos)) {
            return std::nullopt;
        }
        types.push_back(*type);
        values.emplace_back(key[i]);
    }
    const std::optional<std::uint64_t> hash = partition_hash(types, values);
    return hash ? std::optional(group.buckets.of_hash(*hash)) : std::nullopt;
}

/// Key types, and spellings of them, that are not computed here are asked of a node.
BucketId ask(pg::Connection& catalog, const CapturedTable& table, const std::vector<std::string>& key)
{
    for (const Node& one : nodes(catalog)) {
        pg::Connection connection(one.connection("route"));
        try {
            const pg::Result rows = connection.query("SELECT keyshift.bucket_of($1::regclass, VARIADIC $2::text[])",
                                                     {table.name.quoted(), write_array(key)});
            return static_cast<BucketId>(rows.integer(0, 0));
        } catch (const pg::SqlError& error) {
            throw RefusedError(
                {"route " + table.name.to_string(), error.parts().why, "Give the key as PostgreSQL reads it."});
        }
    }
    throw RefusedError(
        {"route " + table.name.to_string(), "the cluster has no node to ask", "Begin with `keyshift node add`."});
}

/// Of a reference table: its home, and every node whose copy is complete.
std::vector<std::string> nodes_with(pg::Connection& catalog, const CapturedTable& table)
{
    std::vector<std::string> names{table.node};
    const pg::Result rows = catalog.query(
        "SELECT node FROM keyshift.reference_copy WHERE table_id = $1::bigint AND state = 'live' ORDER BY node",
        {std::to_string(table.id)});
    for (int row = 0; row < rows.rows(); ++row) {
        names.emplace_back(rows.text(row, 0));
    }
    return names;
}

} // namespace

nlohmann::json route(pg::Connection& catalog, const std::string& table_name, const std::vector<std::string>& key)
{
    check_version(catalog);
    const CapturedTable table = find(catalog, table_name);
    BucketId bucket{};
    Placement place{table.node, Epoch{1}};
    if (!table.group.empty()) {
        const Group of = group(catalog, table.group);
        if (key.size() != table.key_columns.size()) {
            std::vector<std::string> expected;
            for (std::size_t i = 0; i < table.key_columns.size(); ++i) {
                expected.push_back(table.key_columns[i] + " " + of.key_types[i]);
            }
            throw RefusedError(
                {"route " + table.name.to_string(),
                 fmt::format("its key has {} column(s), but {} value(s) were given", expected.size(), key.size()),
                 "Expected key: (" + join(expected) + ")."});
        }
        const std::optional<BucketId> computed = compute(of, key);
        bucket = computed ? *computed : ask(catalog, table, key);
        place = placement(catalog, table.group).at(bucket);
    }
    const Node owner = node(catalog, place.node);
    nlohmann::json result = {{"table", table.name.to_string()}, {"key", key},
                             {"bucket", number(bucket)},        {"node", owner.name},
                             {"host", owner.address.host},      {"port", owner.address.port},
                             {"dbname", owner.address.dbname},  {"epoch", number(place.epoch)}};
    if (table.reference) {
        result["readable_on"] = nodes_with(catalog, table);
    }
    return result;
}

void spread_placement(pg::Connection& catalog, const std::string& group_name)
{
    const std::map<BucketId, Placement> places = placement(catalog, group_name);
    std::map<std::string, pg::Address> addresses;
    const std::vector<Node> all = nodes(catalog);
    for (const Node& one : all) {
        addresses[one.name] = one.address;
    }
    for (const Node& one : all) {
        try {
            pg::Connection connection(one.connection("placement"));
            pg::Transaction transaction(connection);
            for (const auto& [bucket, place] : places) {
                write_local_placement(connection, group_name, bucket, place, addresses.at(place.node));
            }
            transaction.commit();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::unreachable && error.kind() != ErrorKind::transient) {
                throw; // a node that is away is brought up to date by the daemon
            }
        }
    }
}

} // namespace keyshift::catalog
