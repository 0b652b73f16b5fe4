#include "catalog/operations.hpp"

#include "catalog/node_access.hpp"
#include "catalog/rows.hpp"
#include "catalog/strict.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"

#include "core/backoff.hpp"

#include <fmt/format.h>

#include <chrono>

namespace keyshift::catalog {

namespace {

void check_slot_is_free(pg::Connection& connection, const Node& node)
{
    const pg::Result rows = connection.query(
        "SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active", {node.slot});
    if (rows.rows() > 0) {
        throw RefusedError(
            {"node " + node.name,
             fmt::format("process {} reads its replication slot {}: the daemon runs", rows.text(0, 0), node.slot),
             "Stop `keyshift run`, then repeat."});
    }
}

/// A daemon that runs lets go of a node that is not active; the row is put back when it does not within a few seconds.
void release_stream(pg::Connection& catalog, pg::Connection& connection, const Node& node)
{
    constexpr auto kPatience = std::chrono::seconds(10);
    catalog.query("UPDATE keyshift.node SET state = 'adding' WHERE name = $1", {node.name});
    notify(catalog, "node");
    const auto give_up = std::chrono::steady_clock::now() + kPatience;
    while (true) {
        try {
            check_slot_is_free(connection, node);
            return;
        } catch (const RefusedError&) {
            if (std::chrono::steady_clock::now() > give_up) {
                catalog.query("UPDATE keyshift.node SET state = $2 WHERE name = $1", {node.name, node.state});
                notify(catalog, "node");
                throw;
            }
        }
        sleep_for(std::chrono::milliseconds(50), {});
    }
}

void check_no_daemon(pg::Connection& catalog, std::string_view what)
{
    const pg::Result rows =
        catalog.query("SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('keyshift daemon'))");
    if (!rows.boolean(0, 0)) {
        throw RefusedError({std::string(what), "a daemon works on this catalog", "Stop `keyshift run`, then repeat."});
    }
    catalog.query("SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('keyshift daemon'))");
}

/// Views of projections and all of schema keyshift; the reject triggers go with their functions. When the catalog is in the
/// same database, only the node's part goes: the catalog's tables are not in the list.
void drop_node_objects(pg::Connection& connection, const Node& node, bool keep_schema)
{
    pg::Transaction transaction(connection);
    connection.script(fmt::format("DROP PUBLICATION IF EXISTS {}", quote_identifier(node.slot)));
    const pg::Result copies =
        connection.query("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname ~ '^keyshift_copy_[0-9]+$'");
    for (int row = 0; row < copies.rows(); ++row) { // of a `table distribute` that was killed
        connection.script(fmt::format("DROP SCHEMA {} CASCADE", quote_identifier(copies.text(row, 0))));
    }
    end_all_strict(connection);
    if (!keep_schema) {
        connection.script("DROP SCHEMA IF EXISTS keyshift CASCADE");
        transaction.commit();
        return;
    }
    connection.script("DROP VIEW IF EXISTS keyshift.placement CASCADE");
    const pg::Result whole = connection.query(
        "SELECT c.oid::regclass::text FROM pg_catalog.pg_class c WHERE c.relnamespace = 'keyshift'::regnamespace AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition AND c.relname ~ '__m[0-9]+__g[0-9]+$'");
    for (int row = 0; row < whole.rows(); ++row) { // tables of projections that every node has whole
        connection.script(fmt::format("DROP TABLE IF EXISTS {} CASCADE", whole.text(row, 0)));
    }
    const pg::Result functions = connection.query(
        "SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname = 'keyshift'");
    for (int row = 0; row < functions.rows(); ++row) {
        connection.script(fmt::format("DROP FUNCTION IF EXISTS {} CASCADE", functions.text(row, 0)));
    }
    connection.script(
        "DROP TABLE IF EXISTS keyshift.local_identity, keyshift.local_table, keyshift.local_placement, keyshift.local_bucket, "
        "keyshift.move_progress, keyshift.projection_progress, keyshift.projection_source, keyshift.local_ddl, "
        "keyshift.reference_conflict, keyshift.local_reference, keyshift.local_map CASCADE");
    transaction.commit();
}

void clear_node(pg::Connection& connection, const Node& node, bool keep_schema)
{
    connection.query(
        "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
        {node.slot});
    drop_node_objects(connection, node, keep_schema);
}

/// Whatever is here only because others have it: placeholders and copies of reference tables.
void drop_placeholders(pg::Connection& catalog, pg::Connection& connection)
{
    const std::vector<CapturedTable> all = tables(catalog);
    for (auto table = all.rbegin(); table != all.rend(); ++table) {
        if (!table->group.empty() || table->reference) {
            connection.script(fmt::format("DROP TABLE IF EXISTS {} CASCADE", table->name.quoted()));
        }
    }
}

/// Roles are shared by the server's databases: gone only when nothing else uses them.
void drop_roles(pg::Connection& catalog)
{
    for (const std::string_view role : {"keyshift_operator", "keyshift_reader"}) {
        try {
            catalog.script(fmt::format("DROP ROLE IF EXISTS {}", role));
        } catch (const pg::SqlError& error) {
            if (error.sqlstate() != "2BP01" && error.sqlstate() != "42501") {
                throw;
            }
        }
    }
}

void refuse_moves(pg::Connection& catalog, const std::string& what, const std::string& node)
{
    const pg::Result moving =
        catalog.query("SELECT count(*), count(*) FILTER (WHERE state <> 'settling'), "
                      "pg_catalog.date_trunc('second', pg_catalog.max(settle_until))::text "
                      "FROM keyshift.move WHERE (donor = $1 OR recipient = $1) AND state NOT IN ('done', 'aborted')",
                      {node});
    if (moving.integer(0, 1) > 0) {
        throw RefusedError({what, fmt::format("{} unfinished moves concern it", moving.integer(0, 1)),
                            "Wait for them, or cancel the job."});
    }
    if (moving.integer(0, 0) > 0) {
        throw RefusedError({what,
                            fmt::format("{} buckets that were moved are kept frozen until {} for readers with old maps",
                                        moving.integer(0, 0), moving.text(0, 2)),
                            "Repeat it then, with the daemon running; `reshard.grace` says how long."});
    }
}

} // namespace

nlohmann::json remove_node(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    check_version(catalog);
    const CommandLock lock(catalog, "node remove " + name);
    const Node one = node(catalog, name);
    const std::string what = "node remove " + name;
    const pg::Result owned = catalog.query("SELECT count(*) FROM keyshift.bucket WHERE node = $1", {name});
    if (owned.integer(0, 0) > 0) {
        throw RefusedError({what, fmt::format("it owns {} buckets", owned.integer(0, 0)),
                            fmt::format("Move them away first: `keyshift node drain {}`.", name)});
    }
    refuse_moves(catalog, what, name);
    const pg::Result local =
        catalog.query("SELECT schema_name || '.' || table_name FROM keyshift.captured_table WHERE node = $1", {name});
    if (local.rows() > 0) {
        throw RefusedError({what, fmt::format("{} is captured and stays on it", local.text(0, 0)),
                            "Only a node without captured tables of its own can be removed."});
    }
    pg::Connection connection(one.connection("node remove"));
    if (!dry_run) {
        release_stream(catalog, connection, one);
        const bool together = database_identity(catalog) == database_identity(connection);
        drop_placeholders(catalog, connection);
        clear_node(connection, one, together);
        failpoint("node.cleared.persisted");
        pg::Transaction transaction(catalog);
        catalog.query("UPDATE keyshift.node SET state = 'removed' WHERE name = $1", {name});
        for (const char* table : {"stream_status", "schema_history", "captured_relation", "pin", "reference_copy"}) {
            catalog.query(fmt::format("DELETE FROM keyshift.{} WHERE node = $1", table), {name});
        }
        catalog.query("UPDATE keyshift.projection SET filled_nodes = filled_nodes - $1", {name});
        notify(catalog, "node");
        transaction.commit();
    }
    return {{"node", name}, {"removed", !dry_run}, {"dry_run", dry_run}};
}

nlohmann::json deinit(pg::Connection& catalog, const std::optional<std::string>& only, bool dry_run)
{
    check_version(catalog);
    check_no_daemon(catalog, "deinit");
    std::vector<std::string> cleared;
    const std::string catalog_identity = database_identity(catalog);
    for (const Node& one : only ? std::vector<Node>{node(catalog, *only)} : nodes(catalog)) {
        pg::Connection connection(one.connection("deinit"));
        check_slot_is_free(connection, one);
        if (!dry_run) {
            clear_node(connection, one, database_identity(connection) == catalog_identity);
        }
        cleared.push_back(one.name);
    }
    if (!only && !dry_run) {
        catalog.script("DROP SCHEMA keyshift CASCADE");
        drop_roles(catalog);
    }
    return {{"nodes", cleared}, {"catalog", !only}, {"dry_run", dry_run}};
}

} // namespace keyshift::catalog
