#include "catalog/operations.hpp"

#include "catalog/distributed_root.hpp"
#include "catalog/node_access.hpp"
#include "catalog/node_preflight.hpp"
#include "catalog/node_slot.hpp"
#include "catalog/projection_views.hpp"
#include "catalog/reference_copy.hpp"
#include "catalog/replaced_table.hpp"
#include "catalog/rights.hpp"
#include "catalog/schema_copy.hpp"
#include "catalog/sequence_ranges.hpp"
#include "catalog/split/split_record.hpp"
#include "catalog/table_ddl.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace keyshift::catalog {

namespace {

constexpr const char* kSkeletonNote =
    "; what was made so far stays and a second `keyshift node add` goes on from there";

/// The row of the node, in state 'adding' unless an earlier run left one.
Node write_row(pg::Connection& catalog, const AddNode& request, const NodeIdentity& identity, const std::string& slot)
{
    const pg::Address address = pg::address_of(request.dsn);
    catalog.query(
        "INSERT INTO keyshift.node (name, dsn, password_file, host, port, dbname, system_identifier, timeline, slot, state) "
        "VALUES ($1, $2, $3, $4, $5::int, $6, $7, $8::bigint, $9, 'adding') ON CONFLICT (name) DO UPDATE SET dsn = excluded.dsn, "
        "password_file = excluded.password_file, host = excluded.host, port = excluded.port, dbname = excluded.dbname, "
        "system_identifier = excluded.system_identifier, timeline = excluded.timeline, slot = excluded.slot, state = 'adding', "
        "number = CASE WHEN node.state = 'removed' THEN excluded.number ELSE node.number END",
        {request.name, request.dsn, request.password_file, address.host, std::to_string(address.port), address.dbname,
         identity.system_identifier, std::to_string(identity.timeline), slot});
    return node(catalog, request.name);
}

/// Tables a foreign key points at come first; a cycle keeps its order and its keys fail with the server's words.
std::vector<CapturedTable> in_order_of_reference(pg::Connection& from, std::vector<CapturedTable> all)
{
    std::vector<CapturedTable> ordered;
    while (!all.empty()) {
        const auto ready = std::find_if(all.begin(), all.end(), [&](const CapturedTable& table) {
            const TableDefinition definition = read_table(from, table.name);
            return std::none_of(
                definition.constraints.begin(), definition.constraints.end(), [&](const ConstraintDefinition& c) {
                    return c.kind == 'f' && c.referenced != table.name &&
                           std::any_of(all.begin(), all.end(),
                                       [&](const CapturedTable& other) { return other.name == c.referenced; });
                });
        });
        const auto next = ready == all.end() ? all.begin() : ready;
        ordered.push_back(std::move(*next));
        all.erase(next);
    }
    return ordered;
}

void append(std::vector<std::string>& all, const std::vector<std::string>& more)
{
    all.insert(all.end(), more.begin(), more.end());
}

void check_identity(const TableDefinition& table, const pg::Connection& to)
{
    const std::string column = table.generated_identity();
    if (to.server_version() >= kRefusesGeneratedIdentity && !column.empty()) {
        throw RefusedError(
            {fmt::format("table {} on {}", table.name.to_string(), to.name()),
             fmt::format(
                 "its replica identity has generated column {}, with which PostgreSQL 18 refuses UPDATE and DELETE",
                 column),
             fmt::format("On the other nodes, for the table and its leaves: ALTER TABLE {} REPLICA IDENTITY DEFAULT;",
                         table.name.quoted())});
    }
}

/// Copies of the reference tables, then everything distributed, as on the other nodes; the new node owns none of it.
std::vector<std::string> copy_schema(pg::Connection& catalog, const Node& added, pg::Connection& to)
{
    std::vector<std::string> warnings = make_reference_copies(catalog, added, to);
    std::vector<CapturedTable> distributed;
    for (CapturedTable& table : tables(catalog)) {
        if (!table.group.empty()) {
            distributed.push_back(std::move(table));
        }
    }
    std::map<std::string, pg::Address> addresses;
    std::optional<Node> example;
    for (const Node& one : nodes(catalog)) {
        addresses[one.name] = one.address;
        if (one.name != added.name && one.state == "active" && !example) {
            example = one;
        }
    }
    if (distributed.empty() || !example) {
        return warnings;
    }
    pg::Connection from(example->connection("node add: schema"));
    append(warnings, copy_prerequisites(from, to));
    for (const CapturedTable& table : in_order_of_reference(from, distributed)) {
        TableDefinition definition = read_table(from, table.name);
        check_identity(definition, to);
        refuse_missing(fmt::format("making {} on {}", table.name.to_string(), added.name),
                       missing_to_make(to, definition));
        const DistributedRoot root{std::move(definition),
                                   group(catalog, table.group),
                                   table.key_columns,
                                   placement(catalog, table.group),
                                   addresses,
                                   table.captured,
                                   table.strict};
        append(warnings, make_empty_root(to, added, root));
        adopt_sequences(from, to, table.name);
    }
    append(warnings, copy_projection_views(from, to));
    append(warnings, set_ranges(to, node_number(catalog, added.name), read_ranges(catalog)));
    return warnings;
}

} // namespace

nlohmann::json add_node(pg::Connection& catalog, const AddNode& request)
{
    check_version(catalog);
    const CommandLock lock(catalog, "node add " + request.name);
    refuse_unfinished_split(catalog, "node add " + request.name);
    const std::string cluster = meta(catalog, "cluster");
    const std::string slot = fmt::format("keyshift_{}_{}", slot_safe(cluster), request.name);
    check_node_request(catalog, request);
    pg::Connection connection({request.name, request.dsn, request.password_file, "node add"});
    const NodeIdentity identity = check_new_node(catalog, connection, request.name, slot);
    nlohmann::json result = {{"node", request.name},
                             {"slot", slot},
                             {"server_version", connection.server_version()},
                             {"dry_run", request.dry_run},
                             {"warnings", nlohmann::json::array()}};
    if (request.dry_run) {
        return result;
    }
    const Node added = write_row(catalog, request, identity, slot);
    failpoint("node.adding.persisted");
    try {
        {
            pg::Transaction transaction(connection);
            install_node_schema(connection, cluster, request.name);
            make_publication(connection, slot);
            result["warnings"] = copy_schema(catalog, added, connection);
            transaction.commit();
        }
        failpoint("node.schema.persisted");
        make_slot(connection, slot);
    } catch (Error& error) {
        error.add_context(fmt::format("adding node {}{}", request.name, kSkeletonNote));
        throw;
    }
    failpoint("node.slot.persisted");
    catalog.query("UPDATE keyshift.node SET state = 'active' WHERE name = $1", {request.name});
    notify(catalog, "node");
    return result;
}

} // namespace keyshift::catalog
