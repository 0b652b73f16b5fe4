#include "catalog/node_access.hpp"

#include "core/error.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

std::vector<OpenNode> open_nodes(pg::Connection& catalog, const std::string& purpose)
{
    std::vector<OpenNode> open;
    for (Node& node : nodes(catalog)) {
        auto connection = std::make_unique<pg::Connection>(node.connection(purpose));
        open.push_back({std::move(node), std::move(connection)});
    }
    return open;
}

std::string database_identity(pg::Connection& connection)
{
    return std::string(
        connection
            .query("SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::text || '/' || oid "
                   "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()")
            .text(0, 0));
}

bool table_exists(pg::Connection& node, const QualifiedName& table)
{
    return node
        .query(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p'))",
            {table.schema, table.name})
        .boolean(0, 0);
}

bool is_registered_root(pg::Connection& node, const QualifiedName& table)
{
    return node
        .query("SELECT EXISTS (SELECT FROM keyshift.local_table WHERE root = pg_catalog.to_regclass($1))",
               {table.quoted()})
        .boolean(0, 0);
}

CommandLock::CommandLock(pg::Connection& catalog, const std::string& what) : catalog_(catalog)
{
    // A moment's patience: the session of a command that was killed just now may still be ending.
    catalog.script("SET lock_timeout = '5s'");
    try {
        catalog.query("SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext('keyshift command'))");
    } catch (const pg::TransientSqlError& error) {
        if (error.sqlstate() != "55P03") {
            throw;
        }
        catalog.script("RESET lock_timeout");
        throw RefusedError({what, "another command that changes nodes or tables is at work on this catalog",
                            "Wait until it has ended, then repeat."});
    }
    catalog.script("RESET lock_timeout");
}

CommandLock::~CommandLock()
{
    try {
        catalog_.query("SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('keyshift command'))");
    } catch (const Error&) {
        // The connection is lost, and the lock with it.
    }
}

bool has_rows(pg::Connection& node, const QualifiedName& table)
{
    return node.query(fmt::format("SELECT EXISTS (SELECT FROM {})", table.quoted())).boolean(0, 0);
}

void add_to_publication(pg::Connection& node, const std::string& publication, const QualifiedName& table)
{
    if (!node.query(
                 "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid "
                 "WHERE p.pubname = $1 AND r.prrelid = $2::regclass)",
                 {publication, table.quoted()})
             .boolean(0, 0)) {
        node.script(
            fmt::format("ALTER PUBLICATION {} ADD TABLE ONLY {}", quote_identifier(publication), table.quoted()));
    }
}

} // namespace keyshift::catalog
