#pragma once
/// One daemon a catalog: whoever holds the advisory lock works, and says so in keyshift.daemon.

#include "core/pg/connection.hpp"
#include "daemon/config.hpp"

#include <string>

namespace keyshift::daemon {

/// True while a daemon holds the catalog's lock.
bool daemon_runs(pg::Connection& catalog);
std::string host_name();

class SingleDaemon {
public:
    /// again: after the connection to the catalog, and so the lock, was lost.
    enum class Claim { first, again };
    /// Throws Error(refused) naming host, pid and start of the daemon that runs; TransientError while the server has not
    /// yet noticed that a daemon which is gone (or this one's lost connection) no longer holds the lock.
    explicit SingleDaemon(const Config& config, Claim claim = Claim::first);

    /// Says that this daemon still lives; throws TransientError when the connection, and so the lock, is lost.
    void seen();
    /// Its connection may be used beside.
    pg::Connection& connection() { return connection_; }

private:
    void take(const Config& config);
    void refuse(Claim claim);

    pg::Connection connection_;
};

} // namespace keyshift::daemon
