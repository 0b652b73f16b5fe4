#include "cdc/source/slot_check.hpp"

#include "core/log.hpp"

#include <fmt/core.h>

#include <map>

namespace keyshift::cdc {

namespace {

std::string capturing(const catalog::Node& node)
{
    return fmt::format("capturing changes of node {} (slot {})", node.name, node.slot);
}

std::string restore(const catalog::Node& node)
{
    return fmt::format(
        "`keyshift cdc recover {}` makes the slot anew, accepts the gap and reads the rows of every table of the "
        "node into the topics again; rows deleted in the gap stay in the topics.",
        node.name);
}

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

namespace {

/// Why the stream cannot go on from timeline `known` to the present one; "": it can.
std::string broken_by_promotion(pg::ReplicationConnection& replication, pg::Connection& connection,
                                const catalog::Node& node, std::uint32_t known, std::uint32_t present,
                                std::optional<Lsn> kafka)
{
    const std::map<std::uint32_t, Lsn> ancestors = replication.ancestors(present);
    const auto fork = ancestors.find(known);
    if (fork == ancestors.end()) {
        return fmt::format("timeline {} does not come from it", present);
    }
    if (kafka && *kafka > fork->second) {
        return fmt::format("changes from {}, where it branched off, to {} are in Kafka and were lost by the server",
                           fork->second.to_string(), kafka->to_string());
    }
    const std::optional<SlotFacts> slot = read_slot(connection, node.slot);
    if (!slot || slot->wal_status == "lost") {
        return "the slot did not come along (PostgreSQL 17 and up carries slots to a standby that has "
               "sync_replication_slots = on): " +
               gap(kafka);
    }
    return {};
}

} // namespace

std::uint32_t check_identity(pg::ReplicationConnection& replication, pg::Connection& connection,
                             const catalog::Node& node, std::uint32_t known, std::optional<Lsn> kafka)
{
    const pg::ReplicationConnection::SystemIdentity identity = replication.identify();
    if (!node.system_identifier.empty() && node.system_identifier != identity.system_identifier) {
        throw FatalError(
            {capturing(node),
             fmt::format(
                 "the server's system identifier is {}, the catalog knows {}: another server answers at its address",
                 identity.system_identifier, node.system_identifier),
             "Correct the node's address, or `keyshift node remove` and `node add` it again."});
    }
    if (known == 0 || known == identity.timeline) {
        return identity.timeline;
    }
    const std::string broken = broken_by_promotion(replication, connection, node, known, identity.timeline, kafka);
    if (!broken.empty()) {
        throw FatalError(
            {capturing(node),
             fmt::format("a standby was promoted or a backup restored: the server is on timeline {}, the catalog "
                         "knows {}; {}",
                         identity.timeline, known, broken),
             fmt::format("Compare the node with the catalog (`keyshift doctor`). Then `keyshift cdc recover {}` makes "
                         "its slot anew, accepts what is missing and reads every table again.",
                         node.name)});
    }
    log::warning("cdc",
                 "node={} a standby was promoted (timeline {} after {}); its slot came along and nothing is missing",
                 node.name, identity.timeline, known);
    return identity.timeline;
}

SlotFacts check_slot(pg::Connection& connection, const catalog::Node& node, std::optional<Lsn> kafka, Lsn gap_accepted)
{
    const std::optional<SlotFacts> slot = read_slot(connection, node.slot);
    if (!slot) {
        throw FatalError({capturing(node), "the slot does not exist: " + gap(kafka), restore(node)});
    }
    if (slot->wal_status == "lost") {
        throw FatalError(
            {capturing(node), "the slot lost its WAL (max_slot_wal_keep_size): " + gap(kafka), restore(node)});
    }
    if (kafka && slot->confirmed > *kafka && slot->confirmed > gap_accepted) {
        throw FatalError(
            {capturing(node),
             fmt::format(
                 "the slot was recreated or moved by somebody else: changes from {}, where Kafka's last progress record "
                 "ends, to {}, where the slot begins, are in no topic",
                 kafka->to_string(), slot->confirmed.to_string()),
             restore(node)});
    }
    const pg::Result publication =
        connection.query("SELECT pubviaroot FROM pg_catalog.pg_publication WHERE pubname = $1", {node.slot});
    if (publication.rows() == 0 || publication.boolean(0, 0)) {
        throw FatalError(
            {capturing(node),
             publication.rows() == 0 ? "the publication does not exist"
                                     : "the publication has publish_via_partition_root = true",
             fmt::format("`keyshift cdc recover {}` makes publication and slot anew and reads the tables again.",
                         node.name)});
    }
    return *slot;
}

} // namespace keyshift::cdc
