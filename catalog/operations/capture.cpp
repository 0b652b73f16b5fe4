#include "catalog/operations.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "catalog/table_definition.hpp"
#include "core/error.hpp"
#include "core/topic_names.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace keyshift::catalog {

namespace {

struct Wanted {
    QualifiedName name;
    std::size_t node = 0; ///< index into the open nodes
};

std::vector<OpenNode> open_wanted_nodes(pg::Connection& catalog, const std::optional<std::string>& only)
{
    if (!only) {
        return open_nodes(catalog, "capture");
    }
    std::vector<OpenNode> open;
    Node one = node(catalog, *only);
    auto connection = std::make_unique<pg::Connection>(one.connection("capture"));
    open.push_back({std::move(one), std::move(connection)});
    return open;
}

/// Every table of a node, plain or partitioned, that is not Keyshift's, no partition and no extension's.
std::vector<QualifiedName> ordinary_tables(pg::Connection& node)
{
    const pg::Result rows = node.query(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p' AND n.nspname NOT IN ('keyshift', 'information_schema') "
        "AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2");
    std::vector<QualifiedName> names;
    for (int row = 0; row < rows.rows(); ++row) {
        names.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
    }
    return names;
}

Wanted locate(const std::vector<OpenNode>& open, const QualifiedName& name)
{
    std::vector<std::size_t> have;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < open.size(); ++i) {
        if (table_exists(*open[i].connection, name)) {
            have.push_back(i);
            names.push_back(open[i].node.name);
        }
    }
    const std::string what = "capturing " + name.to_string();
    if (have.empty()) {
        throw RefusedError({what, "no node has such a table",
                            "Check the name; a table outside schema public is written schema.table."});
    }
    if (have.size() > 1) {
        throw RefusedError({what, "several nodes have a table of that name: " + join(names), "Say which with --node."});
    }
    return {name, have.front()};
}

/// Its rows are in its partitions, and each of those has a replica identity of its own.
void check_partitions(const OpenNode& open, const QualifiedName& name, const std::string& what)
{
    const pg::Result rows = open.connection->query(
        "SELECT n.nspname, c.relname, c.relkind, c.relpersistence = 'u', c.relreplident = 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i "
        "WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) "
        "FROM pg_catalog.pg_partition_tree($1::regclass) t JOIN pg_catalog.pg_class c ON c.oid = t.relid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE t.isleaf AND c.relkind <> 'p' ORDER BY 1, 2",
        {name.quoted()});
    for (int row = 0; row < rows.rows(); ++row) {
        const QualifiedName leaf{std::string(rows.text(row, 0)), std::string(rows.text(row, 1))};
        if (rows.text(row, 2) == "f" || rows.boolean(row, 3)) {
            throw RefusedError(
                {what,
                 fmt::format("its partition {} is {}: the changes of its rows are not in the WAL", leaf.to_string(),
                             rows.text(row, 2) == "f" ? "a foreign table" : "unlogged"),
                 "Detach that partition, or capture the others one by one."});
        }
        if (!rows.boolean(row, 4)) {
            throw RefusedError(
                {what,
                 fmt::format("its partition {} has neither a primary key nor another replica identity, so UPDATE and "
                             "DELETE would fail once it is published",
                             leaf.to_string()),
                 fmt::format("Give {} a primary key, or, for each partition: ALTER TABLE {} REPLICA IDENTITY FULL;",
                             name.to_string(), leaf.quoted())});
        }
    }
}

void check_capturable(const OpenNode& open, const QualifiedName& name)
{
    const TableDefinition table = read_table(*open.connection, name);
    const std::string what = fmt::format("capturing {} on {}", name.to_string(), open.node.name);
    if (table.unlogged) {
        throw RefusedError({what, "it is unlogged: its changes are not in the WAL",
                            fmt::format("ALTER TABLE {} SET LOGGED;", name.quoted())});
    }
    if (table.partitioned) {
        check_partitions(open, name, what);
        return;
    }
    const bool identified = table.replica_identity == 'f' || table.replica_identity == 'i' ||
                            (table.replica_identity == 'd' && table.primary_key() != nullptr);
    if (!identified) {
        throw RefusedError(
            {what,
             table.replica_identity == 'n'
                 ? "its replica identity is NOTHING, so UPDATE and DELETE would fail once it is published"
                 : "it has no primary key, so UPDATE and DELETE would fail once it is published",
             fmt::format("Give it a primary key, or: ALTER TABLE {} REPLICA IDENTITY FULL;", name.quoted())});
    }
    if (const std::string column = table.generated_identity();
        open.connection->server_version() >= kRefusesGeneratedIdentity && !column.empty()) {
        throw RefusedError(
            {what,
             fmt::format(
                 "its replica identity has generated column {}, so UPDATE and DELETE would fail on PostgreSQL 18 "
                 "once it is published",
                 column),
             fmt::format(
                 "ALTER TABLE {} REPLICA IDENTITY DEFAULT; with a primary key of columns that are not generated.",
                 name.quoted())});
    }
}

/// The topics of all tables that are captured, whatever their node.
TopicNames topics_in_use(pg::Connection& catalog, const std::vector<CapturedTable>& captured)
{
    TopicNames topics(meta(catalog, "topic_prefix"));
    for (const CapturedTable& table : captured) {
        if (table.captured) {
            topics.claim(table.name);
        }
    }
    return topics;
}

void check_topic(TopicNames& topics, const OpenNode& open, const QualifiedName& name)
{
    if (const auto objection = topics.claim(name)) {
        throw RefusedError(
            {fmt::format("capturing {} on {}", name.quoted(), open.node.name), objection->why, objection->next});
    }
}

/// Node first, then the catalog: a run between the two is repaired by the next, which finds the table published.
void capture_one(pg::Connection& catalog, const OpenNode& open, const QualifiedName& name)
{
    const auto write = [&](pg::Connection& connection) {
        connection.query(
            "WITH t AS (INSERT INTO keyshift.captured_table (schema_name, table_name, node) VALUES ($1, $2, $3) RETURNING id) "
            "INSERT INTO keyshift.snapshot (table_id, node, bucket) SELECT id, $3, 0 FROM t",
            {name.schema, name.name, open.node.name});
        notify(connection, "table");
    };
    const bool together = database_identity(catalog) == database_identity(*open.connection);
    {
        pg::Transaction transaction(*open.connection);
        open.connection->script("SET LOCAL lock_timeout = '5s'");
        add_to_publication(*open.connection, open.node.slot, name);
        if (together) {
            write(*open.connection);
        }
        transaction.commit();
    }
    if (!together) {
        pg::Transaction transaction(catalog);
        write(catalog);
        transaction.commit();
    }
}

} // namespace

nlohmann::json capture(pg::Connection& catalog, const std::vector<std::string>& names, bool all,
                       const std::optional<std::string>& node_name, bool dry_run)
{
    check_version(catalog);
    const CommandLock lock(catalog, "table capture");
    const std::vector<OpenNode> open = open_wanted_nodes(catalog, node_name);
    if (open.empty()) {
        throw RefusedError({"table capture", "the cluster has no node", "Begin with `keyshift node add`."});
    }
    if (names.empty() && !all) {
        throw RefusedError({"table capture", "no table was named", "Name tables, or use --all."});
    }
    std::set<QualifiedName> distributed;
    std::set<std::pair<QualifiedName, std::string>> captured;
    const std::vector<CapturedTable> known = tables(catalog);
    TopicNames topics = topics_in_use(catalog, known);
    for (const CapturedTable& table : known) {
        table.group.empty() ? void(captured.emplace(table.name, table.node)) : void(distributed.insert(table.name));
    }
    std::vector<Wanted> wanted;
    nlohmann::json done = nlohmann::json::array();
    nlohmann::json notes = nlohmann::json::array();
    for (const std::string& text : names) {
        const QualifiedName name = QualifiedName::parse(text);
        if (distributed.contains(name)) {
            notes.push_back(name.to_string() + " is distributed, and so captured already");
            continue;
        }
        const Wanted one = locate(open, name);
        if (captured.contains({name, open[one.node].node.name})) {
            notes.push_back(fmt::format("{} on {} is captured already", name.to_string(), open[one.node].node.name));
            continue;
        }
        check_capturable(open[one.node], name);
        check_topic(topics, open[one.node], name);
        wanted.push_back(one);
    }
    for (std::size_t i = 0; all && i < open.size(); ++i) {
        for (const QualifiedName& name : ordinary_tables(*open[i].connection)) {
            if (distributed.contains(name) || captured.contains({name, open[i].node.name})) {
                continue;
            }
            try {
                check_capturable(open[i], name);
                check_topic(topics, open[i], name);
                wanted.push_back({name, i});
            } catch (const RefusedError& error) {
                notes.push_back(std::string("left out: ") + error.what()); // --all takes what can be captured
            }
        }
    }
    for (const Wanted& one : wanted) {
        if (!dry_run) {
            capture_one(catalog, open[one.node], one.name);
        }
        done.push_back({{"table", one.name.to_string()}, {"node", open[one.node].node.name}});
    }
    return {{"captured", done}, {"notes", notes}, {"dry_run", dry_run}};
}

} // namespace keyshift::catalog
