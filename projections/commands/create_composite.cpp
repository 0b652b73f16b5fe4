#include "projections/commands/base_table.hpp"
#include "projections/commands/composite.hpp"
#include "projections/commands/composite_plan.hpp"
#include "projections/commands/creation.hpp"
#include "projections/commands/estimate.hpp"
#include "projections/commands/identity_alters.hpp"
#include "projections/commands/projection_table.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rights.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

using Json = nlohmann::json;

Json plan_json(pg::Connection& catalog, const CompositePlan& plan, const CreateRequest& request, std::size_t nodes)
{
    Json columns = Json::array();
    for (const ProjectedColumn& column : plan.columns) {
        columns.push_back({{"column", column.name}, {"type", column.type}});
    }
    Json tables = Json::array();
    Json alters = Json::array();
    Estimate all;
    for (const Member& member : plan.members) {
        const Definition& definition = member.definition;
        std::vector<std::string> held;
        for (const ProjectedColumn& column : definition.columns) {
            held.push_back(column.name);
        }
        const Estimate estimated = estimate(catalog, definition, member.base, nodes);
        all.rows += estimated.rows;
        all.bytes += estimated.bytes;
        Json& table = tables.emplace_back(
            Json{{"base", definition.base.to_string()},
                 {"table", definition.table().to_string()},
                 {"rows", definition.everywhere ? "all of them on every node" : "those of a node's keys"},
                 {"key", definition.key},
                 {"columns", held}});
        add_estimate(table, estimated);
        for (const std::string& alter : member.alters) {
            alters.push_back(alter);
        }
    }
    Json made{{"projection", plan.name},
              {"kind", plan.select.branches.size() > 1 ? "union" : "join"},
              {"view", plan.view().to_string()},
              {"key", request.key},
              {"buckets", request.buckets},
              {"tables", tables},
              {"columns", columns},
              {"alters", alters},
              {"dry_run", request.dry_run}};
    made["estimated_rows"] = all.rows;
    made["estimated_bytes"] = all.bytes;
    return made;
}

void alter_bases(pg::Connection& catalog, CompositePlan& plan)
{
    for (Member& member : plan.members) {
        for (const catalog::Node& node : nodes_of(catalog, member.base)) {
            pg::Connection connection(node.connection("projection create"));
            for (const std::string& alter : needed_alters(connection, member.definition, member.base,
                                                          base_buckets(catalog, member.base), member.other_keys)) {
                connection.script(alter);
            }
        }
    }
}

namespace {

/// Tables of a create that was killed, which may have been of another SELECT; their views go with them.
void drop_left_over(pg::Connection& node, const std::string& name)
{
    const pg::Result tables = node.query(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'keyshift'::regnamespace AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition AND c.relname ~ ('^' || $1 || '__m[0-9]+__g[0-9]+$')",
        {name});
    for (int row = 0; row < tables.rows(); ++row) {
        const QualifiedName table{"keyshift", std::string(tables.text(row, 0))};
        node.script(fmt::format("DROP TABLE {} CASCADE", table.quoted()));
        catalog::forget_table(node, table, name);
    }
}

void make_on(catalog::OpenNode& node, const CompositePlan& plan, const catalog::DistributedRoot& root)
{
    pg::Connection& connection = *node.connection;
    pg::Transaction transaction(connection);
    drop_left_over(connection, plan.name);
    for (const Member& member : plan.members) {
        make_generation(connection, node.node, member.definition, root);
        connection.script(view_statement(member.definition));
    }
    connection.script(fmt::format("CREATE OR REPLACE VIEW {} AS {}", plan.view().quoted(), composite_query(plan)));
    catalog::set_alias(connection, routed_member(plan).table(), plan.view());
    catalog::set_members(connection, plan.name, member_names(plan));
    transaction.commit();
}

void record(pg::Connection& catalog, const CompositePlan& plan, const CreateRequest& request,
            const catalog::DistributedRoot& root)
{
    pg::Transaction transaction(catalog);
    record_group(catalog, request, root);
    for (const Member& member : plan.members) {
        record_definition(catalog, member.definition, request.sql, member.base.id);
    }
    catalog.query("INSERT INTO keyshift.composite (name, view_schema, sql, key, members) VALUES ($1, $2, $3, $4, $5)",
                  {plan.name, plan.view_schema, request.sql, catalog::write_array(request.key),
                   catalog::write_array(member_names(plan))});
    catalog::notify(catalog, "projection");
    transaction.commit();
}

} // namespace

Json create_composite(pg::Connection& catalog, const CreateRequest& request)
{
    CompositePlan plan = plan_composite(catalog, request);
    std::vector<std::string> alters;
    for (const Member& member : plan.members) {
        alters.insert(alters.end(), member.alters.begin(), member.alters.end());
    }
    if (!alters.empty() && !request.apply && !request.dry_run) {
        refuse_alters("creating projection " + request.name, alters);
    }
    std::vector<catalog::OpenNode> nodes = catalog::open_nodes(catalog, "projection create");
    check_name(catalog, *nodes.front().connection, request, plan.view_schema);
    std::vector<catalog::Node> owners;
    for (const catalog::OpenNode& node : nodes) {
        catalog::refuse_missing("creating projection " + request.name,
                                catalog::missing_in_schema(*node.connection, plan.view_schema));
        if (node.node.state == "active") {
            owners.push_back(node.node);
        }
    }
    Json made = plan_json(catalog, plan, request, nodes.size());
    if (request.dry_run) {
        return made;
    }
    alter_bases(catalog, plan);
    const catalog::DistributedRoot root = new_group(routed_member(plan), request.buckets, owners);
    for (catalog::OpenNode& node : nodes) {
        make_on(node, plan, root);
    }
    record(catalog, plan, request, root);
    return made;
}

} // namespace keyshift::projections
