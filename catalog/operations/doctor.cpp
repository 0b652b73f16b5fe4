#include "catalog/operations.hpp"

#include "catalog/captured_check.hpp"
#include "catalog/definition_difference.hpp"
#include "catalog/finding.hpp"
#include "catalog/node_access.hpp"
#include "catalog/node_preflight.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/reference_check.hpp"
#include "catalog/rights.hpp"
#include "catalog/rows.hpp"
#include "catalog/strict.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace keyshift::catalog {

namespace {

using Findings = std::vector<Finding>;

bool has_catalog(pg::Connection& catalog)
{
    return catalog.query("SELECT pg_catalog.to_regclass('keyshift.meta') IS NOT NULL").boolean(0, 0);
}

/// "Run ALTER ...; and restart" as it stands in an error's third part; doctor prints the statement alone as the fix.
std::string statement_in(const std::string& next)
{
    for (const std::string_view verb : {"ALTER ", "GRANT ", "SELECT pg_drop"}) {
        const std::size_t begin = next.find(verb);
        const std::size_t end = begin == std::string::npos ? begin : next.find(';', begin);
        if (end != std::string::npos) {
            return next.substr(begin, end - begin + 1);
        }
    }
    return {};
}

void append(Findings& findings, Findings more)
{
    std::move(more.begin(), more.end(), std::back_inserter(findings));
}

void check_server(pg::Connection& node, const std::string& publication, bool needs_new_slot, Findings& findings)
{
    const auto note = [&](const char* check, auto&& body) {
        try {
            body();
        } catch (const RefusedError& error) {
            findings.push_back({check, node.name(), "error", error.parts().why + ". " + error.parts().next,
                                statement_in(error.parts().next)});
        }
    };
    note("server_settings", [&] { check_server_settings(node, needs_new_slot); });
    append(findings, missing_on_node(node, publication));
    append(findings, wanted_on_node(node));
}

/// Where the planned tables are: the nodes, or before there are any the catalog database itself.
std::vector<OpenNode> places_of_plan(pg::Connection& catalog, Findings& findings)
{
    if (has_catalog(catalog)) {
        check_version(catalog);
        std::vector<OpenNode> open = open_nodes(catalog, "doctor");
        if (!open.empty()) {
            for (const OpenNode& one : open) {
                check_server(*one.connection, one.node.slot, false, findings);
            }
            return open;
        }
    }
    std::vector<OpenNode> open;
    pg::ConnectionSettings settings = catalog.settings();
    settings.purpose = "doctor";
    auto connection = std::make_unique<pg::Connection>(settings);
    check_server(*connection, "", true, findings);
    open.push_back({Node{}, std::move(connection)});
    return open;
}

const OpenNode* where_is(const std::vector<OpenNode>& open, const QualifiedName& table)
{
    const OpenNode* found = nullptr;
    for (const OpenNode& one : open) {
        if (table_exists(*one.connection, table) &&
            (found == nullptr ||
             (missing_to_publish(*one.connection, table).empty() && has_rows(*one.connection, table)))) {
            found = &one;
        }
    }
    return found;
}

/// A planned table that is distributed already: only its key may be wrong.
void check_distributed(const CapturedTable& table, const std::vector<std::string>& key, Findings& findings)
{
    if (table.key_columns != key) {
        findings.push_back(
            {"distributed_by_another_key", table.name.to_string(), "error",
             fmt::format("it is distributed by ({}) already, the plan says ({})", join(table.key_columns), join(key)),
             ""});
    }
}

Findings check_plan(pg::Connection& catalog, const std::vector<std::pair<std::string, std::string>>& wanted)
{
    Findings findings;
    const std::vector<OpenNode> open = places_of_plan(catalog, findings);
    std::map<QualifiedName, CapturedTable> distributed;
    std::map<std::string, Group> by_name;
    Plan plan;
    if (has_catalog(catalog)) {
        for (Group& one : groups(catalog)) {
            by_name[one.name] = one;
        }
        for (CapturedTable& table : tables(catalog)) {
            if (!table.group.empty()) {
                distributed[table.name] = table;
            } else if (table.reference) {
                plan[table.name].reference = true;
            }
        }
    }
    for (const auto& [name, table] : distributed) {
        plan[name] = {table.key_columns, by_name.at(table.group).key_types, {}};
    }
    std::map<QualifiedName, std::vector<std::string>> keys;
    std::vector<QualifiedName> order;
    for (const auto& [text, column] : wanted) {
        const QualifiedName name = QualifiedName::parse(text);
        if (!keys.contains(name)) {
            order.push_back(name);
        }
        keys[name].push_back(column);
    }
    std::vector<std::pair<const OpenNode*, QualifiedName>> present;
    for (const QualifiedName& name : order) {
        if (const auto known = distributed.find(name); known != distributed.end()) {
            check_distributed(known->second, keys[name], findings);
            continue;
        }
        const OpenNode* place = where_is(open, name);
        if (place == nullptr) {
            findings.push_back({"missing_table", name.to_string(), "error", "no node has such a table", ""});
            continue;
        }
        const TableDefinition definition = read_table(*place->connection, name);
        PlannedTable planned{keys[name], {}, {}};
        for (const std::string& column : planned.key) {
            if (const ColumnDefinition* found = definition.column(column)) {
                planned.key_types.push_back(found->element_type);
            } else {
                findings.push_back(
                    {"missing_column", name.to_string() + "." + column, "error", "the table has no such column", ""});
            }
        }
        if (planned.key_types.size() == planned.key.size()) {
            plan[name] = planned;
            present.emplace_back(place, name);
        }
    }
    std::vector<TableFacts> facts;
    for (const auto& [place, name] : present) {
        facts.push_back(read_facts(*place->connection, name, plan[name].key));
        append(findings, missing_to_distribute(*place->connection, name));
        for (const OpenNode& other : open) {
            if (&other != place) {
                append(findings, missing_to_make(*other.connection, facts.back().definition));
            }
        }
    }
    for (Finding& finding : check_tables(facts, plan, false)) {
        findings.push_back(std::move(finding));
    }
    return findings;
}

/// A slot that nobody reads fills the disk, or loses its WAL at the server's limit.
void check_retained(const OpenNode& open, Findings& findings)
{
    constexpr std::int64_t kMuch = std::int64_t{10} << 30U;
    const pg::Result rows = open.connection->query(
        "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::bigint, "
        "coalesce(safe_wal_size, 0), pg_catalog.current_setting('max_slot_wal_keep_size'), "
        "pg_catalog.pg_size_bytes(pg_catalog.replace(pg_catalog.current_setting('max_slot_wal_keep_size'), '-1', '0')) "
        "FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND restart_lsn IS NOT NULL",
        {open.node.slot});
    if (rows.rows() == 0) {
        return;
    }
    const std::int64_t retained = rows.integer(0, 0);
    const std::int64_t left = rows.integer(0, 1);
    const std::int64_t limit = rows.integer(0, 3);
    if (limit > 0 && left < limit / 2) {
        findings.push_back(
            {"wal_nearly_lost", open.node.name, "error",
             fmt::format("slot {} keeps {} bytes of WAL and may keep {} more (max_slot_wal_keep_size = {}): then it is "
                         "invalidated, and changes that are not in Kafka by then are lost. `keyshift cdc status` says "
                         "why it does not move",
                         open.node.slot, retained, left, rows.text(0, 2)),
             ""});
    } else if (limit == 0 && retained > kMuch) {
        findings.push_back(
            {"wal_retained", open.node.name, "warning",
             fmt::format("slot {} keeps {} bytes of WAL, and nothing limits it: the disk may fill up. `keyshift cdc "
                         "status` says why it does not move; with max_slot_wal_keep_size the server would give the "
                         "slot up instead, and the stream stop and name the gap",
                         open.node.slot, retained),
             ""});
    }
}

void check_slot(const OpenNode& open, Findings& findings)
{
    const pg::Result rows = open.connection->query(
        "SELECT wal_status FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {open.node.slot});
    if (rows.rows() == 0) {
        findings.push_back(
            {"slot_missing", open.node.name, "error",
             fmt::format("replication slot {} is not there: changes since it went are not in Kafka", open.node.slot),
             ""});
    } else if (rows.text(0, 0) == "lost") {
        findings.push_back(
            {"slot_lost", open.node.name, "error",
             fmt::format(
                 "replication slot {} was invalidated: its WAL is gone, and with it changes that are not in Kafka",
                 open.node.slot),
             ""});
    } else {
        check_retained(open, findings);
    }
}

/// The twin of a table that is distributed while it is used, or was to be: its triggers cost every write.
void check_copies(const OpenNode& open, Findings& findings)
{
    const pg::Result rows = open.connection->query(
        "SELECT nspname, pg_catalog.to_regclass(pg_catalog.quote_ident(t.schema) || '.' || pg_catalog.quote_ident(t.name))::text "
        "FROM pg_catalog.pg_namespace n, LATERAL (SELECT c.relname AS name, s.nspname AS schema FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace WHERE 'keyshift_copy_' || c.oid = n.nspname) t");
    for (int row = 0; row < rows.rows(); ++row) {
        findings.push_back(
            {"unfinished_copy", fmt::format("{} on {}", rows.text(row, 1), open.node.name), "warning",
             fmt::format(
                 "schema {} holds the copy that `table distribute` makes. Where none runs, one was killed: repeat "
                 "it, or take its copy back with DROP SCHEMA {} CASCADE",
                 rows.text(row, 0), rows.text(row, 0)),
             ""});
    }
}

void check_publication(const OpenNode& open, const std::vector<CapturedTable>& all, Findings& findings)
{
    const pg::Result publication =
        open.connection->query("SELECT pubviaroot FROM pg_catalog.pg_publication WHERE pubname = $1", {open.node.slot});
    if (publication.rows() == 0) {
        findings.push_back({"publication_missing", open.node.name, "error", "its publication is not there",
                            fmt::format("CREATE PUBLICATION {} WITH (publish_via_partition_root = false);",
                                        quote_identifier(open.node.slot))});
    } else if (publication.boolean(0, 0)) {
        findings.push_back({"publication_via_root", open.node.name, "error",
                            "publish_via_partition_root is on: events would not name their bucket",
                            fmt::format("ALTER PUBLICATION {} SET (publish_via_partition_root = false);",
                                        quote_identifier(open.node.slot))});
    }
    for (const CapturedTable& table : all) {
        const bool here = !table.group.empty() || table.node == open.node.name;
        if (table.captured && here) {
            check_captured(open, table, findings);
            append(findings, table.group.empty() ? missing_to_publish(*open.connection, table.name)
                                                 : missing_to_distribute(*open.connection, table.name));
            append(findings, check_strict(open, table));
        }
    }
}

/// Leaves, reject triggers and local_bucket of one group on one node against the catalog. A bucket on the move may differ.
void check_group(pg::Connection& catalog, const OpenNode& open, const Group& of, Findings& findings)
{
    std::set<std::int64_t> moving;
    const pg::Result moves = catalog.query(
        "SELECT bucket FROM keyshift.move WHERE group_name = $1 AND state NOT IN ('done', 'aborted')", {of.name});
    for (int row = 0; row < moves.rows(); ++row) {
        moving.insert(moves.integer(row, 0));
    }
    std::set<std::int64_t> open_here;
    const pg::Result states = open.connection->query(
        "SELECT bucket FROM keyshift.local_bucket WHERE group_name = $1 AND state = 'open'", {of.name});
    for (int row = 0; row < states.rows(); ++row) {
        open_here.insert(states.integer(row, 0));
    }
    const std::vector<CapturedTable> members = tables_of_group(catalog, of.name);
    for (const auto& [bucket, place] : placement(catalog, of.name)) {
        if (moving.contains(number(bucket))) {
            continue;
        }
        const bool owner = place.node == open.node.name;
        const std::string object = fmt::format("bucket {} of {} on {}", number(bucket), of.name, open.node.name);
        if (owner != open_here.contains(number(bucket))) {
            findings.push_back({"ownership_differs", object, "error",
                                owner ? "the catalog gives it to this node, which does not have it open"
                                      : "this node has it open, the catalog gives it to " + place.node,
                                ""});
        }
        for (const CapturedTable& table : members) {
            const QualifiedName leaf = leaf_name(table.name, bucket);
            if (!table_exists(*open.connection, leaf)) {
                findings.push_back(
                    {"leaf_missing", leaf.to_string() + " on " + open.node.name, "error", "the leaf is not there", ""});
            } else if (owner == has_reject_trigger(*open.connection, leaf)) {
                findings.push_back(
                    {"reject_trigger", leaf.to_string() + " on " + open.node.name, "error",
                     owner ? "the owner's leaf refuses writes" : "the placeholder does not refuse writes", ""});
            }
        }
    }
}

/// Each table against its definition on the first node. DDL that did not go by `keyshift ddl` shows here.
void check_definitions(const OpenNode& open, const std::vector<CapturedTable>& all,
                       std::map<QualifiedName, DefinitionOnNode>& first, Findings& findings)
{
    constexpr int kMajor = 10000;
    for (const CapturedTable& table : all) {
        if (table.group.empty() || !table_exists(*open.connection, table.name)) {
            continue;
        }
        DefinitionOnNode here{open.node.name, open.connection->server_version() / kMajor,
                              read_table(*open.connection, table.name)};
        const auto known = first.find(table.name);
        if (known == first.end()) {
            first.emplace(table.name, std::move(here));
            continue;
        }
        for (Finding& finding : differences(known->second, here)) {
            findings.push_back(std::move(finding));
        }
    }
}

Findings check_cluster(pg::Connection& catalog)
{
    check_version(catalog);
    Findings findings = wanted_on_catalog(catalog);
    const std::vector<CapturedTable> all = tables(catalog);
    const std::vector<Group> every = groups(catalog);
    std::map<QualifiedName, DefinitionOnNode> definitions;
    for (const Node& one : nodes(catalog)) {
        OpenNode open{one, nullptr};
        try {
            open.connection = std::make_unique<pg::Connection>(one.connection("doctor"));
        } catch (const Error& error) {
            findings.push_back({"unreachable", one.name, "error", error.parts().why + ". " + error.parts().next, ""});
            continue;
        }
        if (one.state == "adding") {
            findings.push_back({"node_half_added", one.name, "error",
                                fmt::format("`keyshift node add {}` did not finish: run it again", one.name), ""});
            continue;
        }
        if (!open.connection->query("SELECT pg_catalog.to_regclass('keyshift.local_bucket') IS NOT NULL")
                 .boolean(0, 0)) {
            findings.push_back({"schema_missing", one.name, "error",
                                "schema keyshift is not there: another database, or one restored from an older backup",
                                ""});
            continue;
        }
        check_server(*open.connection, one.slot, false, findings);
        check_slot(open, findings);
        check_copies(open, findings);
        check_publication(open, all, findings);
        check_references(catalog, open, all, findings);
        for (const Group& of : every) {
            check_group(catalog, open, of, findings);
        }
        check_definitions(open, all, definitions, findings);
    }
    return findings;
}

} // namespace

nlohmann::json doctor(pg::Connection& catalog, const std::vector<std::pair<std::string, std::string>>& plan)
{
    return to_json(plan.empty() ? check_cluster(catalog) : check_plan(catalog, plan));
}

} // namespace keyshift::catalog
