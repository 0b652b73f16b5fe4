#pragma once
/// One daemon at a time: an advisory lock in the catalog database, held by a connection of its own for the daemon's life.

#include "core/pg/connection.hpp"
#include "daemon/config.hpp"

#include <cstdint>
#include <string>

namespace keyshift::daemon {

/// hashtext('keyshift daemon') as the server computes it.
std::int64_t daemon_lock_key(pg::Connection& catalog);

class SingleDaemon {
public:
    /// Throws Error(refused) naming host, pid and start of the daemon that runs.
    SingleDaemon(const Config& config, const std::string& http_address);
    /// Says that this daemon still lives; throws TransientError when the connection, and so the lock, is lost.
    void seen();

private:
    pg::Connection connection_;
};

} // namespace keyshift::daemon
