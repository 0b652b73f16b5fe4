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

void check_identity(const catalog::Node& node, const pg::ReplicationConnection::SystemIdentity& identity);
/// `kafka`: Kafka's position; nullopt: nothing of this node was ever written.
SlotFacts check_slot(pg::Connection& connection, const catalog::Node& node, std::optional<Lsn> kafka);

} // namespace keyshift::cdc
