#include "catalog/operations/ddl_journal.hpp"

#include "catalog/rows.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

/// Moves whose tables are being made alike, or whose bucket is changing hands.
constexpr const char* kMovesInTheWay =
    "SELECT m.id, m.bucket, m.group_name, m.state FROM keyshift.move m JOIN keyshift.ddl d ON m.group_name = ANY (d.groups) "
    "WHERE d.id = $1 AND m.state NOT IN ('planned', 'settling', 'done', 'aborted') ORDER BY m.id LIMIT 1";

} // namespace

std::optional<UnfinishedDdl> DdlJournal::unfinished()
{
    const pg::Result rows = catalog_.query(
        "SELECT id, statement, state = 'waiting' FROM keyshift.ddl WHERE state IN ('waiting', 'running') ORDER BY id LIMIT 1");
    if (rows.rows() == 0) {
        return std::nullopt;
    }
    return UnfinishedDdl{rows.integer(0, 0), std::string(rows.text(0, 1)), rows.boolean(0, 2)};
}

std::int64_t DdlJournal::wait(const std::string& statement, const std::vector<std::string>& groups)
{
    return catalog_
        .query("INSERT INTO keyshift.ddl (statement, groups, state, backend, backend_start) "
               "SELECT $1, $2::text[], 'waiting', pid, backend_start FROM pg_catalog.pg_stat_activity "
               "WHERE pid = pg_catalog.pg_backend_pid() RETURNING id",
               {statement, write_array(groups)})
        .integer(0, 0);
}

bool DdlJournal::begin(std::int64_t id)
{
    const std::string number = std::to_string(id);
    pg::Transaction transaction(catalog_);
    // A move's step takes ROW EXCLUSIVE and then looks for statements: one of the two sees the other.
    catalog_.query("LOCK TABLE keyshift.move IN SHARE MODE");
    if (catalog_.query(kMovesInTheWay, {number}).rows() > 0) {
        return false;
    }
    catalog_.query("UPDATE keyshift.ddl SET state = 'running' WHERE id = $1", {number});
    // The statement comes to the nodes one after the other: no frozen copy can be kept current through it.
    catalog_.query("UPDATE keyshift.move m SET reverse_position = NULL FROM keyshift.ddl d "
                   "WHERE d.id = $1 AND m.group_name = ANY (d.groups) AND m.state = 'settling'",
                   {number});
    transaction.commit();
    return true;
}

std::string DdlJournal::in_the_way(std::int64_t id)
{
    const pg::Result rows = catalog_.query(kMovesInTheWay, {std::to_string(id)});
    return rows.rows() == 0 ? ""
                            : fmt::format("move {} (bucket {} of {}) is {}", rows.text(0, 0), rows.text(0, 1),
                                          rows.text(0, 2), rows.text(0, 3));
}

void DdlJournal::end(std::int64_t id, const std::string& state, std::vector<OpenNode>& nodes)
{
    const std::string number = std::to_string(id);
    catalog_.query("UPDATE keyshift.ddl SET state = $2, finished_at = now() WHERE id = $1", {number, state});
    for (OpenNode& node : nodes) {
        if (table_exists(*node.connection, {"keyshift", "local_ddl"})) {
            node.connection->query("DELETE FROM keyshift.local_ddl WHERE ddl <= $1", {number});
        }
    }
    notify(catalog_, "table");
}

void make_mark_table(pg::Connection& node)
{
    if (!table_exists(node, {"keyshift", "local_ddl"})) {
        node.script("CREATE TABLE IF NOT EXISTS keyshift.local_ddl (ddl bigint PRIMARY KEY)");
    }
}

void mark(pg::Connection& node, std::int64_t id)
{
    node.query("INSERT INTO keyshift.local_ddl (ddl) VALUES ($1)", {std::to_string(id)});
}

bool is_marked(pg::Connection& node, std::int64_t id)
{
    return table_exists(node, {"keyshift", "local_ddl"}) &&
           node.query("SELECT EXISTS (SELECT FROM keyshift.local_ddl WHERE ddl = $1)", {std::to_string(id)})
               .boolean(0, 0);
}

} // namespace keyshift::catalog
