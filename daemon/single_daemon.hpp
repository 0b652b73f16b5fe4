#pragma once
/// One daemon works for a catalog: whoever holds the advisory lock, and says so in keyshift.daemon. Others stand by.
///
/// A clock never decides: a standby that has seen no sign of life ends the other's session, and works once it has the lock.

#include "core/pg/connection.hpp"
#include "daemon/config.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace keyshift::daemon {

/// True while a daemon holds the catalog's lock.
bool daemon_runs(pg::Connection& catalog);
/// True while the lock belongs to this process of the catalog's server.
bool holds_lock(pg::Connection& catalog, int backend);
std::string host_name();

class SingleDaemon {
public:
    /// After the connection to the catalog, and so the lock, was lost. Throws Error(refused) naming host, pid and start of
    /// the daemon that works by now; TransientError while the server has not yet noticed that the lost connection is gone.
    explicit SingleDaemon(const Config& config);
    /// `connection` holds the lock.
    SingleDaemon(const Config& config, pg::Connection connection);

    /// Says that this daemon still lives; throws TransientError when the connection, and so the lock, is lost.
    void seen();
    /// Its connection may be used beside.
    pg::Connection& connection() { return connection_; }

private:
    void take(const Config& config);
    void refuse();

    pg::Connection connection_;
};

/// Waits beside the daemon that works until it can take its place. One thread.
class Standby {
public:
    explicit Standby(const Config& config) : config_(config) {}

    /// One look: the claim when there is no other daemon any more. Ends the session of one that has given no sign of life
    /// for some seconds. Throws TransientError while the catalog is away.
    std::optional<SingleDaemon> look();
    /// Who works: "the daemon with pid 17 on host a, running since ...".
    const std::string& other() const { return other_; }

private:
    using Clock = std::chrono::steady_clock;
    void connect();
    void watch_other();
    void end_other();

    const Config& config_;
    std::optional<pg::Connection> connection_;
    std::string other_ = "another daemon";
    std::string sign_; ///< of life: changes each second
    Clock::time_point sign_at_ = Clock::now();
    Clock::time_point patient_until_; ///< the catalog was away: whoever worked comes back first
    bool connected_before_ = false;
};

} // namespace keyshift::daemon
