#include "catalog/node_preflight.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_slot.hpp"
#include "catalog/rights.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

constexpr int kOldestVersion = 150000;
constexpr std::size_t kLongestName = 31;

bool valid_name(const std::string& name)
{
    const auto letter = [](char c) {
        return c >= 'a' && c <= 'z';
    };
    return !name.empty() && name.size() <= kLongestName && letter(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

std::string what_of(const pg::Connection& node)
{
    return "node " + node.name();
}

} // namespace

std::string slot_safe(const std::string& text)
{
    std::string safe;
    for (const char c : text) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        safe += upper ? static_cast<char>(c - 'A' + 'a') : keep ? c : '_';
    }
    return safe;
}

void check_node_request(pg::Connection& catalog, const AddNode& request)
{
    const std::string what = "node add " + request.name;
    if (!valid_name(request.name)) {
        throw RefusedError(
            {what,
             fmt::format(
                 "a node's name has lower case letters, digits and _, begins with a letter and is at most {} long",
                 kLongestName),
             "Choose another name."});
    }
    const pg::Result rows = catalog.query("SELECT state FROM keyshift.node WHERE name = $1", {request.name});
    if (rows.rows() > 0 && rows.text(0, 0) != "adding" && rows.text(0, 0) != "removed") {
        throw RefusedError(
            {what, "there is a node of that name already",
             fmt::format("`keyshift node show {}` shows it; another database needs another name.", request.name)});
    }
    try {
        pg::address_of(request.dsn);
    } catch (const Error& error) {
        throw RefusedError({what, error.parts().why, error.parts().next});
    }
}

void check_server_settings(pg::Connection& node, bool needs_new_slot)
{
    if (node.server_version() < kOldestVersion) {
        throw RefusedError(
            {what_of(node),
             fmt::format("the server is version {}; Keyshift needs 15 or newer", node.server_version() / 10000),
             "Upgrade the server."});
    }
    const pg::Result rows = node.query(
        "SELECT pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_catalog.pg_replication_slots), "
        "pg_catalog.current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_catalog.pg_stat_replication)");
    if (rows.text(0, 0) != "logical") {
        throw RefusedError({what_of(node),
                            fmt::format("wal_level is {}; logical decoding needs logical", rows.text(0, 0)),
                            "Run ALTER SYSTEM SET wal_level = 'logical'; and restart the server."});
    }
    if (needs_new_slot && rows.integer(0, 2) >= rows.integer(0, 1)) {
        throw RefusedError(
            {what_of(node), fmt::format("all {} replication slots are in use", rows.integer(0, 1)),
             fmt::format("Run ALTER SYSTEM SET max_replication_slots = {}; and restart, or drop a slot nobody reads.",
                         rows.integer(0, 1) + 4)});
    }
    if (needs_new_slot && rows.integer(0, 4) >= rows.integer(0, 3)) {
        throw RefusedError({what_of(node), fmt::format("all {} WAL senders are in use", rows.integer(0, 3)),
                            fmt::format("Run ALTER SYSTEM SET max_wal_senders = {}; and restart the server.",
                                        rows.integer(0, 3) + 4)});
    }
}

NodeIdentity check_new_node(pg::Connection& catalog, pg::Connection& node, const std::string& name,
                            const std::string& slot)
{
    if (slot.size() > 63) {
        throw RefusedError({what_of(node), fmt::format("the slot's name {} would be longer than 63 characters", slot),
                            "Choose a shorter [catalog] cluster or node name."});
    }
    const bool has_slot =
        node.query("SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1)", {slot})
            .boolean(0, 0);
    check_server_settings(node, !has_slot);
    refuse_missing(what_of(node), missing_on_node(node, slot));
    const std::string identity = database_identity(node);
    const pg::Result others = catalog.query(
        "SELECT name, dsn, password_file FROM keyshift.node WHERE state <> 'removed' AND name <> $1 AND system_identifier = $2",
        {name, identity.substr(0, identity.find('/'))});
    const std::string database(node.query("SELECT pg_catalog.current_database()").text(0, 0));
    for (int row = 0; row < others.rows(); ++row) {
        if (pg::address_of(std::string(others.text(row, 1))).dbname == database) {
            throw RefusedError({what_of(node), fmt::format("this database is already node {}", others.text(row, 0)),
                                "One database is one node; give the dsn of another."});
        }
    }
    if (node.query("SELECT pg_catalog.to_regclass('keyshift.local_identity') IS NOT NULL").boolean(0, 0)) {
        const pg::Result rows = node.query("SELECT cluster, node FROM keyshift.local_identity");
        const std::string cluster = meta(catalog, "cluster");
        if (rows.rows() > 0 && (rows.text(0, 0) != cluster || rows.text(0, 1) != name)) {
            throw RefusedError({what_of(node),
                                fmt::format("this database is node {} of cluster {}", rows.text(0, 1), rows.text(0, 0)),
                                "If that cluster is gone: DROP SCHEMA keyshift CASCADE; there, then repeat."});
        }
    }
    return {identity.substr(0, identity.find('/')), timeline_of(node)};
}

} // namespace keyshift::catalog
