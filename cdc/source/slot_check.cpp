#include "cdc/source/slot_check.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

std::string capturing(const catalog::Node& node)
{
    return fmt::format("capturing changes of node {} (slot {})", node.name, node.slot);
}

constexpr const char* kRestore =
    "Recreate slot and publication (`keyshift node add` says how), then `keyshift cdc snapshot` every "
    "table of the node: that writes its present rows to the topics.";

std::string gap(std::optional<Lsn> kafka)
{
    return kafka ? fmt::format("changes from {} on, where Kafka's last progress record ends, can no longer be read",
                               kafka->to_string())
                 : "its changes can no longer be read";
}

} // namespace

std::optional<SlotFacts> read_slot(pg::Connection& node, const std::string& slot)
{
    const pg::Result rows = node.query(
        "SELECT confirmed_flush_lsn, pg_catalog.pg_current_wal_lsn(), "
        "coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn), 0)::bigint, wal_status, active_pid, plugin, "
        "database = pg_catalog.current_database() FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
        {slot});
    if (rows.rows() == 0) {
        return std::nullopt;
    }
    if (rows.text(0, 5) != "pgoutput" || !rows.boolean(0, 6)) {
        throw FatalError({fmt::format("reading slot {} on {}", slot, node.name()),
                          fmt::format("it belongs to the plugin {} or to another database", rows.text(0, 5)),
                          "Drop it, or give the cluster another name in [catalog] cluster."});
    }
    SlotFacts facts;
    facts.confirmed = rows.is_null(0, 0) ? Lsn{} : rows.lsn(0, 0);
    facts.current = rows.lsn(0, 1);
    facts.retained_bytes = rows.integer(0, 2);
    facts.wal_status = rows.text(0, 3);
    facts.active_pid = rows.is_null(0, 4) ? 0 : static_cast<int>(rows.integer(0, 4));
    return facts;
}

void check_identity(const catalog::Node& node, const pg::ReplicationConnection::SystemIdentity& identity)
{
    if (!node.system_identifier.empty() && node.system_identifier != identity.system_identifier) {
        throw FatalError(
            {capturing(node),
             fmt::format(
                 "the server's system identifier is {}, the catalog knows {}: another server answers at its address",
                 identity.system_identifier, node.system_identifier),
             "Correct the node's address, or `keyshift node remove` and `node add` it again."});
    }
    if (node.timeline != 0 && node.timeline != identity.timeline) {
        throw FatalError(
            {capturing(node),
             fmt::format(
                 "the server is on timeline {}, the catalog knows {}: a standby was promoted or a backup restored",
                 identity.timeline, node.timeline),
             "Compare the node's buckets with the catalog (`keyshift doctor`) before its stream goes on."});
    }
}

SlotFacts check_slot(pg::Connection& connection, const catalog::Node& node, std::optional<Lsn> kafka)
{
    const std::optional<SlotFacts> slot = read_slot(connection, node.slot);
    if (!slot) {
        throw FatalError({capturing(node), "the slot does not exist: " + gap(kafka), kRestore});
    }
    if (slot->wal_status == "lost") {
        throw FatalError({capturing(node), "the slot lost its WAL (max_slot_wal_keep_size): " + gap(kafka), kRestore});
    }
    if (kafka && slot->confirmed > *kafka) {
        throw FatalError(
            {capturing(node),
             fmt::format(
                 "the slot was recreated or moved by somebody else: changes from {}, where Kafka's last progress record "
                 "ends, to {}, where the slot begins, are in no topic",
                 kafka->to_string(), slot->confirmed.to_string()),
             kRestore});
    }
    const pg::Result publication =
        connection.query("SELECT pubviaroot FROM pg_catalog.pg_publication WHERE pubname = $1", {node.slot});
    if (publication.rows() == 0 || publication.boolean(0, 0)) {
        throw FatalError(
            {capturing(node),
             publication.rows() == 0 ? "the publication does not exist"
                                     : "the publication has publish_via_partition_root = true",
             fmt::format("Make publication {} as `keyshift node add` does, with publish_via_partition_root = false.",
                         node.slot)});
    }
    return *slot;
}

} // namespace keyshift::cdc
