#include "catalog/node_slot.hpp"

#include "core/error.hpp"
#include "core/names.hpp"

#include <fmt/format.h>

namespace keyshift::catalog {

namespace {

constexpr int kFailoverSlots = 170000;

/// True: it is there. Refuses one that is not ours.
bool check_ours(pg::Connection& node, const std::string& name)
{
    const pg::Result rows = node.query(
        "SELECT plugin, database = pg_catalog.current_database() FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
        {name});
    if (rows.rows() > 0 && (rows.text(0, 0) != "pgoutput" || !rows.boolean(0, 1))) {
        throw RefusedError(
            {fmt::format("replication slot {} on {}", name, node.name()),
             "it exists and is not Keyshift's (other plugin or database)",
             fmt::format("If nothing uses it: SELECT pg_drop_replication_slot({});", quote_literal(name))});
    }
    return rows.rows() > 0;
}

} // namespace

void make_publication(pg::Connection& node, const std::string& name)
{
    const pg::Result flags = node.query("SELECT pubviaroot, pubinsert AND pubupdate AND pubdelete AND pubtruncate "
                                        "FROM pg_catalog.pg_publication WHERE pubname = $1",
                                        {name});
    if (flags.rows() == 0) {
        node.script(
            fmt::format("CREATE PUBLICATION {} WITH (publish_via_partition_root = false)", quote_identifier(name)));
    } else if (flags.boolean(0, 0) || !flags.boolean(0, 1)) {
        node.script(fmt::format("ALTER PUBLICATION {} SET (publish_via_partition_root = false, "
                                "publish = 'insert, update, delete, truncate')",
                                quote_identifier(name)));
    }
}

void make_slot(pg::Connection& node, const std::string& name)
{
    if (check_ours(node, name)) {
        return;
    }
    const bool failover = node.server_version() >= kFailoverSlots;
    node.query(fmt::format("SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput'{})",
                           failover ? ", failover => true" : ""),
               {name});
}

std::uint32_t timeline_of(pg::Connection& node)
{
    // The first eight hexadecimal digits of a WAL file's name.
    const pg::Result name = node.query("SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())");
    return static_cast<std::uint32_t>(std::stoul(std::string(name.text(0, 0).substr(0, 8)), nullptr, 16));
}

Lsn remake_slot(pg::Connection& node, const std::string& name)
{
    if (check_ours(node, name)) {
        node.query("SELECT pg_catalog.pg_drop_replication_slot($1)", {name});
    }
    make_slot(node, name);
    return node.query("SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {name})
        .lsn(0, 0);
}

} // namespace keyshift::catalog
