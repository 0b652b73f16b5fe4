#pragma once
/// What must hold before a node's slot is read: the server is the one that was added, the slot is there, and nothing between
/// Kafka's position and the slot's is missing. Throws FatalError naming the gap and what to do; never skips.

#include "catalog/catalog.hpp"
#include "core/lsn.hpp"
#include "core/pg/connection.hpp"
#include "core/pg/replication_connection.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace keyshift::cdc {

struct SlotFacts {
    Lsn confirmed;
    Lsn current; ///< the server's end of WAL
    std::int64_t retained_bytes = 0;
    std::string wal_status;
    int active_pid = 0; ///< 0: nobody reads it
};

/// nullopt: there is no such slot.
std::optional<SlotFacts> read_slot(pg::Connection& node, const std::string& slot);

/// The server is the one that was added, on timeline `known` or on one that went on from it with the slot and with
/// everything that Kafka has (a promoted standby with failover slots). Its timeline. `kafka` as in check_slot.
std::uint32_t check_identity(pg::ReplicationConnection& replication, pg::Connection& connection,
                             const catalog::Node& node, std::uint32_t known, std::optional<Lsn> kafka);
/// `kafka`: Kafka's position; nullopt: nothing of this node was ever written. `gap_accepted`: what is missing before it was
/// accepted.
SlotFacts check_slot(pg::Connection& connection, const catalog::Node& node, std::optional<Lsn> kafka,
                     Lsn gap_accepted = {});

} // namespace keyshift::cdc
