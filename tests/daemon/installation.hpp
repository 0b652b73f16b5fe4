#pragma once
/// One installation of Keyshift for a test: databases of its own on the shared servers, a configuration file and a port.
/// The test speaks to it as a user does, through the program.

#include "core/json.hpp"
#include "tests/daemon/http_get.hpp"
#include "tests/support/process.hpp"
#include "tests/support/test_servers.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keyshift::test {

class Installation {
public:
    /// n1's database is on server 1 and has the catalog too; `more`: further nodes, on servers 2 and 3.
    explicit Installation(int more = 0, DatabaseOwner owner = usual_owner());
    ~Installation();

    /// keyshift --config FILE arguments...
    Finished keyshift(std::vector<std::string> arguments, const Environment& environment = {}) const;
    /// The same with -o json; fails the test unless it exits with 0.
    nlohmann::json json(std::vector<std::string> arguments) const;
    /// Must exit with 0.
    void must(const std::vector<std::string>& arguments) const;
    /// init and node add n1.
    void set_up() const;
    void add_node(int number) const;

    /// Starts `keyshift run` and waits until /readyz says so.
    void start_daemon(const Environment& environment = {});
    /// SIGTERM; its exit status.
    int stop_daemon();
    void kill_daemon();
    BackgroundProgram& daemon() { return *daemon_; }
    HttpReply get(const std::string& target, const std::string& method = "GET") const
    {
        return http_get(port_, target, method);
    }

    const TestDatabase& database(int number = 1) const { return *databases_.at(static_cast<std::size_t>(number - 1)); }
    pg::Connection connect(int number = 1) const { return database(number).connect("n" + std::to_string(number)); }
    const std::string& prefix() const { return prefix_; }
    const std::string& config_file() const { return config_file_; }
    int port() const { return port_; }
    const TemporaryDirectory& directory() const { return directory_; }
    const TestServers& servers() const { return servers_; }
    /// From now on a broker of the test's own; before set_up().
    void use_broker(const kafka::Settings& broker);
    /// The broker that the configuration names.
    kafka::Settings broker() const { return broker_; }
    /// The configuration file's text.
    std::string config_text(const std::string& more = {}) const;

private:
    TestServers servers_;
    kafka::Settings broker_ = servers_.kafka();
    TemporaryDirectory directory_;
    std::vector<std::unique_ptr<TestDatabase>> databases_;
    std::string prefix_;
    int port_;
    std::string config_file_;
    std::unique_ptr<BackgroundProgram> daemon_;
};

/// Asks again and again for at most `seconds`; false: it never came true.
bool comes_true(const std::function<bool()>& condition, int seconds = 30);

} // namespace keyshift::test
