#include "projections/reference/reference_command.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/operations.hpp"
#include "catalog/option_check.hpp"
#include "catalog/reference_copy.hpp"
#include "catalog/rights.hpp"
#include "catalog/rows.hpp"
#include "catalog/schema_copy.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "projections/reference/reference_event.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

using catalog::CapturedTable;
using catalog::OpenNode;
using catalog::TableDefinition;

[[noreturn]] void refuse(const QualifiedName& name, const std::string& why, const std::string& next)
{
    throw RefusedError({"making a reference table of " + name.to_string(), why, next});
}

std::optional<CapturedTable> known_table(pg::Connection& catalog, const QualifiedName& name)
{
    std::optional<CapturedTable> found;
    for (CapturedTable& table : catalog::tables(catalog)) {
        if (table.name != name) {
            continue;
        }
        if (found) {
            refuse(name, fmt::format("{} and {} each have a captured table of that name", found->node, table.node),
                   "A reference table has one home; drop or rename the other.");
        }
        found = std::move(table);
    }
    return found;
}

/// Where it is captured; else the one node with rows of it; else the one that has it, or that was named.
std::size_t home_of(const std::vector<OpenNode>& nodes, const QualifiedName& name, const ReferenceRequest& request,
                    const std::optional<CapturedTable>& known)
{
    std::vector<std::size_t> have;
    std::vector<std::size_t> filled;
    const std::optional<std::string> wanted = known ? std::optional(known->node) : request.node;
    for (std::size_t at = 0; at < nodes.size(); ++at) {
        const bool there = catalog::table_exists(*nodes[at].connection, name);
        if (there) {
            catalog::refuse_missing("making a reference table of " + name.to_string(),
                                    catalog::missing_to_publish(*nodes[at].connection, name));
            have.push_back(at);
        }
        if (there && catalog::has_rows(*nodes[at].connection, name) && !(known && known->reference)) {
            filled.push_back(at);
        }
    }
    const auto named = [&](std::size_t at) {
        return nodes[at].node.name;
    };
    if (known && request.node && *request.node != known->node) {
        refuse(name, "it is captured on " + known->node, "Leave --node away: a reference table stays where it is.");
    }
    if (have.empty()) {
        refuse(name, "no node has such a table",
               "Check the name; a table outside schema public is written schema.table.");
    }
    if (filled.size() > 1) {
        refuse(name, fmt::format("{} and {} both hold rows of it", named(filled[0]), named(filled[1])),
               "Bring the rows together on one node first.");
    }
    if (wanted) {
        const auto found = std::ranges::find_if(have, [&](std::size_t at) { return named(at) == *wanted; });
        if (found == have.end()) {
            refuse(name, "node " + *wanted + " has no such table", "It is on " + named(have.front()) + ".");
        }
        if (!filled.empty() && filled.front() != *found) {
            refuse(name, fmt::format("its rows are on {}", named(filled.front())),
                   "A reference table stays where its rows are.");
        }
        return *found;
    }
    if (filled.empty() && have.size() > 1) {
        refuse(name, fmt::format("{} and {} both have it, empty", named(have[0]), named(have[1])),
               "Say where it is written: --node " + named(have[0]) + ".");
    }
    return filled.empty() ? have.front() : filled.front();
}

void check_foreign_keys(pg::Connection& catalog, const TableDefinition& definition)
{
    const std::vector<CapturedTable> all = catalog::tables(catalog);
    for (const catalog::ConstraintDefinition& key : definition.constraints) {
        const bool reference = std::ranges::any_of(
            all, [&](const CapturedTable& table) { return table.reference && table.name == key.referenced; });
        if (key.kind == 'f' && key.referenced != definition.name && !reference) {
            refuse(definition.name,
                   fmt::format("foreign key {} points at {}, which not every node has", key.name,
                               key.referenced.to_string()),
                   fmt::format("`keyshift table reference {}` first, or ALTER TABLE {} DROP CONSTRAINT {};",
                               key.referenced.to_string(), definition.name.quoted(), quote_identifier(key.name)));
        }
    }
}

void check_definition(pg::Connection& home, const TableDefinition& definition)
{
    const QualifiedName& name = definition.name;
    const catalog::ConstraintDefinition* primary = definition.primary_key();
    if (definition.partitioned ||
        home.query(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1::regclass OR inhparent = $1::regclass)",
                {name.quoted()})
            .boolean(0, 0)) {
        refuse(name, "it is partitioned or takes part in inheritance", "Only a plain table can be a reference table.");
    }
    if (primary == nullptr) {
        refuse(name, "it has no primary key, so its rows cannot be told apart",
               fmt::format("ALTER TABLE {} ADD PRIMARY KEY (...);", name.quoted()));
    }
    if (primary->definition.find(" DEFERRABLE") != std::string::npos) {
        refuse(name, fmt::format("primary key {} is deferrable, and no foreign key can rest on that", primary->name),
               "Make it one that is not deferrable.");
    }
    const pg::Result forced =
        home.query("SELECT relforcerowsecurity FROM pg_catalog.pg_class WHERE oid = $1::regclass", {name.quoted()});
    if (forced.boolean(0, 0)) {
        refuse(name, "row security is forced on its owner, so that nobody could keep a whole copy",
               fmt::format("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY;", name.quoted()));
    }
}

/// Rows that differ between events and table would differ between home and copies.
void check_events(pg::Connection& home, const CapturedTable& table, const EventForms& forms)
{
    const ReferenceTable read = read_reference_table(home, table, forms, "");
    if (const auto loss = lost_in_events(read)) {
        refuse(table.name, loss->why, loss->next);
    }
    std::vector<std::string> columns;
    std::vector<std::string> key;
    std::ranges::transform(read.columns, std::back_inserter(columns), &BaseColumn::name);
    std::ranges::transform(read.key, std::back_inserter(key),
                           [&](std::size_t place) { return read.columns[place].name; });
    if (const std::string why = catalog::projection_conflict(table.options, key, columns); !why.empty()) {
        refuse(table.name, why,
               "Take the option away with `keyshift table capture " + table.name.to_string() + " --defaults`.");
    }
}

void install_what_is_missing(pg::Connection& catalog, const OpenNode& open)
{
    if (!open.connection->query("SELECT pg_catalog.to_regprocedure('keyshift.reject_reference()') IS NOT NULL")
             .boolean(0, 0)) {
        catalog::install_node_schema(*open.connection, catalog::meta(catalog, "cluster"), open.node.name);
    }
}

void make_copies(pg::Connection& catalog, const std::vector<OpenNode>& nodes, std::size_t home,
                 const TableDefinition& definition, bool dry_run, nlohmann::json& result)
{
    for (std::size_t at = 0; at < nodes.size(); ++at) {
        if (at == home) {
            continue;
        }
        pg::Connection& connection = *nodes[at].connection;
        pg::Transaction transaction(connection);
        connection.script("SET LOCAL lock_timeout = '5s'");
        install_what_is_missing(catalog, nodes[at]);
        for (const std::string& warning : catalog::copy_prerequisites(*nodes[home].connection, connection)) {
            result["warnings"].push_back(warning);
        }
        for (const std::string& warning : catalog::make_reference_copy(connection, definition, nodes[home].node)) {
            result["warnings"].push_back(warning);
        }
        result["copies"].push_back(nodes[at].node.name);
        if (!dry_run) {
            transaction.commit();
        }
        failpoint("reference.copy.made");
    }
}

} // namespace

nlohmann::json make_reference(pg::Connection& catalog, const ReferenceRequest& request)
{
    catalog::check_version(catalog);
    const QualifiedName name = QualifiedName::parse(request.table);
    const catalog::CommandLock lock(catalog, "table reference " + name.to_string());
    const std::optional<CapturedTable> known = known_table(catalog, name);
    if (known && !known->group.empty()) {
        refuse(name, "it is distributed, by (" + catalog::join(known->key_columns) + ")",
               "A table is either distributed or a reference table.");
    }
    const std::vector<OpenNode> nodes = catalog::open_nodes(catalog, "table reference");
    if (nodes.empty()) {
        refuse(name, "the cluster has no node", "Begin with `keyshift node add`.");
    }
    const std::size_t home = home_of(nodes, name, request, known);
    pg::Connection& at_home = *nodes[home].connection;
    const TableDefinition definition = catalog::read_table(at_home, name);
    check_definition(at_home, definition);
    check_foreign_keys(catalog, definition);
    CapturedTable table = known.value_or(CapturedTable{});
    table.name = name;
    table.node = nodes[home].node.name;
    check_events(at_home, table, request.forms);
    for (const OpenNode& node : nodes) {
        if (node.node.name != table.node) {
            catalog::refuse_missing("making a reference table of " + name.to_string(),
                                    catalog::missing_to_make(*node.connection, definition));
        }
    }
    nlohmann::json result = {{"table", name.to_string()},
                             {"home", table.node},
                             {"copies", nlohmann::json::array()},
                             {"warnings", nlohmann::json::array()},
                             {"dry_run", request.dry_run}};
    if (!known) {
        catalog::capture(catalog, {name.quoted()}, false, table.node, request.dry_run);
    }
    make_copies(catalog, nodes, home, definition, request.dry_run, result);
    if (!request.dry_run) {
        catalog.query(
            "UPDATE keyshift.captured_table SET reference = true WHERE schema_name = $1 AND table_name = $2 AND node = $3",
            {name.schema, name.name, table.node});
        catalog::notify(catalog, "table");
    }
    return result;
}

CopiesDone copies_done(pg::Connection& catalog, const std::string& table)
{
    const QualifiedName name = QualifiedName::parse(table);
    const pg::Result rows = catalog.query(
        "SELECT count(*) FILTER (WHERE c.state = 'live'), count(*), min(c.error ->> 'why') FILTER (WHERE c.state <> 'live') "
        "FROM keyshift.captured_table t JOIN keyshift.node n ON n.name <> t.node "
        "LEFT JOIN keyshift.reference_copy c ON c.table_id = t.id AND c.node = n.name "
        "WHERE t.schema_name = $1 AND t.table_name = $2 AND t.reference AND n.state IN ('active', 'draining')",
        {name.schema, name.name});
    return {rows.integer(0, 0), rows.integer(0, 1), std::string(rows.text(0, 2))};
}

} // namespace keyshift::projections
