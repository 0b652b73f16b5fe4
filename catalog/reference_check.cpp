#include "catalog/reference_check.hpp"

#include "catalog/reference_copy.hpp"
#include "catalog/table_ddl.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <map>

namespace keyshift::catalog {

namespace {

using Findings = std::vector<Finding>;

/// Name and definition of what a copy has from its home: constraints and indexes.
std::map<std::string, std::string> parts_of(const TableDefinition& table)
{
    std::map<std::string, std::string> parts;
    for (const ConstraintDefinition& one : table.constraints) {
        parts["constraint " + one.name] = one.definition;
    }
    for (const IndexDefinition& one : table.indexes) {
        parts["index " + one.name] = one.definition;
    }
    return parts;
}

/// The first part that only one of them has, or that they have in different words; "": none.
std::string first_difference(const TableDefinition& home, const TableDefinition& copy)
{
    const auto wanted = parts_of(definition_of_copy(home));
    const auto there = parts_of(copy);
    for (const auto& [name, definition] : wanted) {
        const auto found = there.find(name);
        if (found == there.end() || found->second != definition) {
            return name;
        }
    }
    for (const auto& [name, definition] : there) {
        if (!wanted.contains(name)) {
            return name;
        }
    }
    return {};
}

void check_definition(pg::Connection& catalog, const OpenNode& open, const CapturedTable& table,
                      const std::string& object, Findings& findings)
{
    try {
        pg::Connection home(node(catalog, table.node).connection("doctor"));
        const std::string shape = shape_of_table(home, table.name);
        const std::string copy = shape_of_table(*open.connection, table.name);
        if (shape != copy) {
            findings.push_back({"reference_columns_differ", object, "error",
                                fmt::format("on its home {} the table has ({}), here ({}): the copy stands still",
                                            table.node, shape, copy),
                                "-- run here what was run on " + table.node});
            return;
        }
        const std::string part =
            first_difference(read_table(home, table.name), read_table(*open.connection, table.name));
        if (!part.empty()) {
            findings.push_back({"reference_definition_differs", object, "warning",
                                fmt::format("{} is not the same here and on its home {}", part, table.node),
                                "-- run here what was run on " + table.node});
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::unreachable && error.kind() != ErrorKind::transient) {
            throw; // the home that is away is a finding of its own
        }
    }
}

void check_conflicts(const OpenNode& open, const CapturedTable& table, const std::string& object, Findings& findings)
{
    const pg::Result rows = open.connection->query(
        "SELECT count(*), min(reason) FROM keyshift.reference_conflict WHERE root = pg_catalog.to_regclass($1)",
        {table.name.quoted()});
    if (rows.integer(0, 0) > 0) {
        findings.push_back(
            {"reference_conflict", object, "error",
             fmt::format(
                 "{} rows are not as on the home, because this node refuses them: {}. keyshift.reference_conflict "
                 "there has their keys; each is tried again until it fits",
                 rows.integer(0, 0), rows.text(0, 1)),
             ""});
    }
}

void check_copy(pg::Connection& catalog, const OpenNode& open, const CapturedTable& table, Findings& findings)
{
    const std::string object = table.name.to_string() + " on " + open.node.name;
    const std::string again = fmt::format("-- keyshift table reference {}", table.name.to_string());
    const pg::Result rows = open.connection->query(
        "SELECT state FROM keyshift.local_reference WHERE root = pg_catalog.to_regclass($1)", {table.name.quoted()});
    if (rows.rows() == 0) {
        findings.push_back(
            {"reference_missing", object, "error", "the node has no copy of the reference table", again});
        return;
    }
    if (!is_guarded_copy(*open.connection, table.name)) {
        findings.push_back(
            {"reference_open", object, "error", "the copy takes writes: its trigger is gone or disabled", again});
    }
    if (rows.text(0, 0) != "live") {
        const pg::Result seen = catalog.query(
            "SELECT error ->> 'why' FROM keyshift.reference_copy WHERE table_id = $1::bigint AND node = $2",
            {std::to_string(table.id), open.node.name});
        const bool known = seen.rows() == 1 && !seen.is_null(0, 0);
        findings.push_back({"reference_not_live", object, "warning",
                            known ? "the copy is not complete: " + std::string(seen.text(0, 0))
                                  : "the copy is still being filled, which takes `keyshift run`",
                            ""});
    }
    check_definition(catalog, open, table, object, findings);
    check_conflicts(open, table, object, findings);
}

} // namespace

void check_references(pg::Connection& catalog, const OpenNode& open, const std::vector<CapturedTable>& all,
                      Findings& findings)
{
    for (const CapturedTable& table : all) {
        if (table.reference && table.node != open.node.name) {
            check_copy(catalog, open, table, findings);
        }
    }
}

nlohmann::json reference_copies(pg::Connection& catalog, std::int64_t table_id)
{
    // What the daemon has not renewed for ten seconds says what was: such a copy may lag, and nobody knows how far.
    const pg::Result rows = catalog.query(
        "SELECT coalesce(json_agg(json_build_object('node', n.name, 'state', coalesce(c.state, 'filling'), "
        "  'lag_seconds', CASE WHEN c.at > now() - interval '10 seconds' THEN c.lag_seconds END, 'conflicts', coalesce(c.conflicts, 0), "
        "  'error', c.error) ORDER BY n.name), '[]')::text FROM keyshift.captured_table t JOIN keyshift.node n ON n.name <> t.node "
        "LEFT JOIN keyshift.reference_copy c ON c.table_id = t.id AND c.node = n.name "
        "WHERE t.id = $1::bigint AND n.state IN ('active', 'draining')",
        {std::to_string(table_id)});
    return nlohmann::json::parse(rows.text(0, 0));
}

} // namespace keyshift::catalog
