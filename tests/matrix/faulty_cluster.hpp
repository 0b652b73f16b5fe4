#pragma once
/// A catalog and two nodes on servers of their own, which may be restarted, behind proxies, which may be cut: the daemon reaches
/// each through its proxy, clients directly. Tables users and posts (co-located, foreign key), every bucket on n1 at first.

#include "tests/support/private_postgres.hpp"
#include "tests/support/process.hpp"
#include "tests/support/tcp_proxy.hpp"
#include "tests/support/test_servers.hpp"

#include <memory>
#include <string>
#include <vector>

namespace keyshift::test {

/// Servers, by number: the catalog's is 0, node nN's N.
constexpr int kCatalog = 0;
constexpr int kBuckets = 4;

class FaultyCluster {
public:
    /// Sets everything up and waits until the rows there are in Kafka. `users` have the numbers 1, 2, ...
    explicit FaultyCluster(int users, const kafka::Settings& broker = TestServers().kafka(),
                           const std::string& grace = "0s");
    ~FaultyCluster();

    /// `keyshift run`; `failpoints` as in KEYSHIFT_FAILPOINTS.
    void start_daemon(const std::string& failpoints = {});
    BackgroundProgram& daemon() { return *daemon_; }
    /// A second daemon beside it, as a standby.
    std::unique_ptr<BackgroundProgram> another_daemon() const;
    void kill_daemon();

    /// keyshift --config FILE arguments...; throws unless it exits with 0.
    std::string must(std::vector<std::string> arguments) const;
    /// The same in the background.
    std::unique_ptr<BackgroundProgram> begin(std::vector<std::string> arguments, const std::string& failpoints) const;
    /// Starts a job; its number.
    std::string start_move(int bucket, int to) const;

    PrivatePostgres& server(int number) { return *servers_.at(static_cast<std::size_t>(number)); }
    TcpProxy& proxy(int number) { return *proxies_.at(static_cast<std::size_t>(number)); }
    pg::Connection connect(int number) const;
    std::string value(int number, const std::string& query) const;
    /// Asks again and again, also while the server is away; false: it was never "t" within `seconds`.
    bool comes_true(int number, const std::string& query, int seconds = 60) const;
    /// Node that the catalog names.
    int owner(int bucket) const;
    int bucket_of(int user, int modulus = kBuckets) const;

    const kafka::Settings& broker() const { return broker_; }
    std::string topic(const std::string& table) const { return prefix_ + ".public." + table; }
    const TemporaryDirectory& directory() const { return directory_; }

private:
    kafka::Settings broker_;
    TemporaryDirectory directory_;
    std::vector<std::unique_ptr<PrivatePostgres>> servers_;
    std::vector<std::unique_ptr<TcpProxy>> proxies_;
    std::string prefix_;
    int http_port_;
    std::string config_file_;
    std::unique_ptr<BackgroundProgram> daemon_;
};

} // namespace keyshift::test
