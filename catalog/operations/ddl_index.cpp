/// CREATE INDEX on a distributed table: PostgreSQL has no CONCURRENTLY for partitioned tables, so the root gets an index
/// without parts, each leaf its own concurrently, and the last part that is attached makes the whole valid.

#include "catalog/operations/ddl_everywhere.hpp"
#include "catalog/operations/ddl_journal.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

QualifiedName index_name(const DdlStatement& statement, const CapturedTable& table)
{
    return {table.name.schema, statement.index};
}

bool exists(pg::Connection& node, const QualifiedName& index)
{
    return node.query("SELECT pg_catalog.to_regclass($1) IS NOT NULL", {index.quoted()}).boolean(0, 0);
}

void make_root_index(pg::Connection& node, std::int64_t id, const DdlStatement& statement, const DdlTarget& target,
                     const KeepTrying& keep_trying)
{
    if (is_marked(node, id)) {
        return;
    }
    with_tries(node, target, keep_trying, [&] {
        node.script(fmt::format("CREATE {}INDEX {} ON ONLY {}", statement.unique ? "UNIQUE " : "",
                                quote_identifier(statement.index), statement.index_tail));
        mark(node, id);
    });
}

/// " USING btree (...) WHERE ...", as the server writes it.
std::string tail_of(pg::Connection& node, const QualifiedName& index)
{
    return std::string(
        node.query(
                "SELECT pg_catalog.substr(pg_catalog.pg_get_indexdef(i.indexrelid), pg_catalog.length(pg_catalog.format("
                "'CREATE %sINDEX %I ON ONLY %I.%I', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname, n.nspname, t.relname)) + 1) "
                "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
                "JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace "
                "WHERE i.indexrelid = $1::pg_catalog.regclass",
                {index.quoted()})
            .text(0, 0));
}

struct Part {
    bool there = false;
    bool valid = false;
    bool attached = false;
};

Part part_of(pg::Connection& node, const QualifiedName& index)
{
    const pg::Result rows =
        node.query("SELECT i.indisvalid, EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = i.indexrelid) "
                   "FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass($1)",
                   {index.quoted()});
    return rows.rows() == 0 ? Part{} : Part{true, rows.boolean(0, 0), rows.boolean(0, 1)};
}

void build_parts(pg::Connection& node, const DdlStatement& statement, const DdlTarget& target,
                 const BucketLayout& buckets, const KeepTrying& keep_trying)
{
    const CapturedTable& table = target.tables.front();
    const QualifiedName whole = index_name(statement, table);
    const std::string tail = tail_of(node, whole);
    for (const BucketId bucket : buckets.numbers()) {
        const QualifiedName leaf = leaf_name(table.name, bucket);
        const QualifiedName name = leaf_name(whole, bucket);
        const Part part = part_of(node, name);
        if (part.attached) {
            continue;
        }
        if (part.there && !part.valid) {
            node.query("DROP INDEX CONCURRENTLY " + name.quoted()); // of a build that was interrupted
        }
        if (!part.valid) {
            node.query(fmt::format("CREATE {}INDEX CONCURRENTLY {} ON {}{}", statement.unique ? "UNIQUE " : "",
                                   quote_identifier(name.name), leaf.quoted(), tail));
        }
        failpoint("ddl.index.built");
        with_tries(node, target, keep_trying,
                   [&] { node.script("ALTER INDEX " + whole.quoted() + " ATTACH PARTITION " + name.quoted()); });
    }
}

} // namespace

void build_index_everywhere(pg::Connection& catalog, std::vector<OpenNode>& nodes, std::int64_t id,
                            const DdlStatement& statement, const DdlTarget& target, const KeepTrying& keep_trying)
{
    const CapturedTable& table = target.tables.front();
    for (OpenNode& node : nodes) {
        if (!is_marked(*node.connection, id) && exists(*node.connection, index_name(statement, table))) {
            throw RefusedError({"keyshift ddl: " + table.name.to_string(),
                                fmt::format("node {} has an index {} already", node.node.name, statement.index),
                                "Give it another name, or drop that one: `keyshift ddl 'DROP INDEX ...'`."});
        }
    }
    const BucketLayout buckets = group(catalog, table.group).buckets;
    for (OpenNode& node : nodes) {
        make_root_index(*node.connection, id, statement, target, keep_trying);
    }
    for (OpenNode& node : nodes) {
        build_parts(*node.connection, statement, target, buckets, keep_trying);
    }
}

void drop_index_everywhere(pg::Connection& catalog, std::vector<OpenNode>& nodes, std::int64_t id,
                           const DdlStatement& statement, const DdlTarget& target)
{
    const CapturedTable& table = target.tables.front();
    const QualifiedName whole = index_name(statement, table);
    const BucketLayout buckets = group(catalog, table.group).buckets;
    for (OpenNode& node : nodes) {
        if (!is_marked(*node.connection, id)) {
            continue;
        }
        node.connection->query("DROP INDEX IF EXISTS " + whole.quoted());
        for (const BucketId bucket : buckets.numbers()) {
            node.connection->query("DROP INDEX CONCURRENTLY IF EXISTS " + leaf_name(whole, bucket).quoted());
        }
    }
}

} // namespace keyshift::catalog
