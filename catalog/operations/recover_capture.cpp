#include "catalog/operations.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_slot.hpp"
#include "catalog/operations/raise_epochs.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <set>

namespace keyshift::catalog {

namespace {

void refuse_while_read(pg::Connection& connection, const Node& of)
{
    const pg::Result reader = connection.query(
        "SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active", {of.slot});
    if (reader.rows() > 0) {
        throw RefusedError(
            {"cdc recover " + of.name,
             fmt::format("process {} on the server reads slot {}: its stream runs", reader.text(0, 0), of.slot),
             fmt::format("There is nothing to recover; else end it with `keyshift cdc pause {}`.", of.name)});
    }
}

void refuse_another_server(pg::Connection& connection, const Node& of)
{
    const pg::Result identity = connection.query("SELECT system_identifier FROM pg_catalog.pg_control_system()");
    if (identity.text(0, 0) != of.system_identifier) {
        throw RefusedError(
            {"cdc recover " + of.name,
             fmt::format("the server's system identifier is {}, the catalog knows {}: it is another server",
                         identity.text(0, 0), of.system_identifier),
             "Correct the node's address."});
    }
}

std::vector<CapturedTable> captured_on(pg::Connection& catalog, const Node& of)
{
    std::vector<CapturedTable> found;
    for (CapturedTable& table : tables(catalog)) {
        if (table.captured && (table.node.empty() || table.node == of.name)) {
            found.push_back(std::move(table));
        }
    }
    return found;
}

/// Its rows of this node are read into the topic once more.
void queue_snapshot(pg::Connection& catalog, const CapturedTable& table, const Node& of)
{
    std::vector<std::uint32_t> buckets;
    if (table.group.empty()) {
        buckets = {0};
    } else {
        for (const auto& [bucket, place] : placement(catalog, table.group)) {
            if (place.node == of.name) {
                buckets.push_back(number(bucket));
            }
        }
    }
    const std::string id = std::to_string(table.id);
    catalog.query("DELETE FROM keyshift.snapshot WHERE table_id = $1::bigint AND node = $2", {id, of.name});
    for (const std::uint32_t bucket : buckets) {
        catalog.query(
            "INSERT INTO keyshift.snapshot (table_id, node, bucket, condition) VALUES ($1::bigint, $2, $3::int, 'true')",
            {id, of.name, std::to_string(bucket)});
    }
}

/// Routes tell the epoch.
void spread_placements(pg::Connection& catalog, const std::vector<RaisedBucket>& raised)
{
    std::set<std::string> groups;
    for (const RaisedBucket& one : raised) {
        groups.insert(one.group);
    }
    for (const std::string& group : groups) {
        spread_placement(catalog, group);
    }
}

} // namespace

nlohmann::json recover_capture(pg::Connection& catalog, const std::string& name, bool dry_run)
{
    check_version(catalog);
    const CommandLock lock(catalog, "cdc recover " + name);
    const Node of = node(catalog, name);
    pg::Connection connection(of.connection("cdc recover"));
    refuse_another_server(connection, of);
    refuse_while_read(connection, of);
    const std::vector<CapturedTable> captured = captured_on(catalog, of);
    nlohmann::json result = {
        {"node", name}, {"slot", of.slot}, {"tables", nlohmann::json::array()}, {"dry_run", dry_run}};
    for (const CapturedTable& table : captured) {
        result["tables"].push_back(table.name.to_string());
    }
    if (dry_run) {
        return result;
    }
    make_publication(connection, of.slot);
    for (const CapturedTable& table : captured) {
        add_to_publication(connection, of.slot, table.name);
    }
    const Lsn begin = remake_slot(connection, of.slot);
    failpoint("recover.slot.persisted");
    const std::vector<RaisedBucket> raised = raise_epochs_on(connection, catalog, of, captured);
    failpoint("recover.epochs.persisted");
    // Together: a gap is accepted only with the snapshots that close it, in epochs that make them newer than what was lost.
    pg::Transaction transaction(catalog);
    catalog.query("UPDATE keyshift.node SET gap_accepted = $2::pg_lsn, timeline = $3::bigint WHERE name = $1",
                  {name, begin.to_string(), std::to_string(timeline_of(connection))});
    record_raised_epochs(catalog, of, raised, captured, begin);
    for (const CapturedTable& table : captured) {
        queue_snapshot(catalog, table, of);
    }
    notify(catalog, "table");
    transaction.commit();
    spread_placements(catalog, raised);
    result["begins_at"] = begin.to_string();
    return result;
}

} // namespace keyshift::catalog
