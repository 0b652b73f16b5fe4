#include "catalog/capturable.hpp"

#include "catalog/rights.hpp"
#include "catalog/table_definition.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

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

} // namespace

void refuse_system_table(const std::string& what, const QualifiedName& table)
{
    const bool own = table.schema == "keyshift";
    const bool session = table.schema.starts_with("pg_temp_") || table.schema == "pg_temp";
    if (own || table.schema.starts_with("pg_") || table.schema == "information_schema") {
        throw RefusedError({what,
                            own       ? "it is Keyshift's own"
                            : session ? "it is temporary: its changes are not in the WAL"
                                      : "it is a table of the system",
                            "Choose a table of your own."});
    }
}

void check_capturable(const OpenNode& open, const QualifiedName& name)
{
    const std::string what = fmt::format("capturing {} on {}", name.to_string(), open.node.name);
    refuse_system_table(what, name);
    const TableDefinition table = read_table(*open.connection, name);
    refuse_missing(what, missing_to_publish(*open.connection, name));
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

} // namespace keyshift::catalog
