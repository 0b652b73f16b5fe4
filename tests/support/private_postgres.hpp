#pragma once
/// A PostgreSQL server that belongs to one test, which may stop, kill and restart it.

#include "tests/support/process.hpp"
#include "tests/support/test_servers.hpp"

#include <string>
#include <vector>

namespace keyshift::test {

class PrivatePostgres {
public:
    /// Starts a fresh cluster; `settings` are lines of postgresql.conf, e.g. "wal_level = replica".
    explicit PrivatePostgres(const std::vector<std::string>& settings = {});
    /// A standby of `primary`, which is stopped for a moment to be copied and has not read it yet.
    explicit PrivatePostgres(PrivatePostgres& primary, const std::vector<std::string>& settings = {});
    ~PrivatePostgres();
    PrivatePostgres(const PrivatePostgres&) = delete;
    PrivatePostgres& operator=(const PrivatePostgres&) = delete;

    /// pg_ctl stop -m mode; its exit status. Waits at most `seconds`.
    int stop(const std::string& mode, int seconds = 60);
    void start();
    /// Of a standby; it then takes writes.
    void promote();
    /// Takes back every ALTER SYSTEM, also while it is down.
    void forget_system_settings() const;
    int port() const { return port_; }
    std::string conninfo(const std::string& database = "postgres") const;
    pg::ConnectionSettings settings(const std::string& node = "private") const
    {
        return {node, conninfo(), "", "test"};
    }

private:
    std::string data() const { return directory_.path() + "/pg/data"; }
    Finished control(const std::vector<std::string>& arguments) const;

    TestServers servers_;
    TemporaryDirectory directory_;
    int port_;
};

} // namespace keyshift::test
