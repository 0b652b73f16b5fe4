#pragma once
/// Where the demo's servers are and how much it does. Read once in main, then passed by reference.

#include "core/kafka/client.hpp"
#include "core/pg/connection.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace keyshift::demo {

struct Server {
    std::string name; ///< n1, n2, n3, ...
    int port = 0;
};

struct Settings {
    std::string binary;            ///< the program keyshift
    std::string directory;         ///< scratch: configuration file, daemon's log
    std::vector<Server> servers;   ///< three or more empty PostgreSQL servers, trust authentication on 127.0.0.1
    std::string bootstrap_servers; ///< the Kafka broker
    std::string database = "app";
    std::string prefix = "app"; ///< topic prefix
    int users = 20'000;
    int posts = 100'000;
    int interactions = 300'000;
    int writers = 4; ///< connections that write, each to its own keys
    double writes_per_second = 400;
    std::string grace = "2s"; ///< reshard.grace, short enough to be watched

    const Server& server(const std::string& name) const;
    pg::ConnectionSettings connection(const std::string& node, std::string purpose) const;
    std::string dsn(const std::string& node) const;
    kafka::Settings kafka() const { return {{"bootstrap.servers", bootstrap_servers}}; }
    std::string config_file() const { return directory + "/keyshift.toml"; }
};

/// From the environment: KEYSHIFT_BINARY, PG1_PORT..PG3_PORT and more, KAFKA, and the scratch directory as argument.
/// Throws Error(usage) naming what is missing.
Settings settings_from_environment(const std::string& directory);

/// Writes the daemon's configuration file; `http_port` is free.
void write_config(const Settings& settings, int http_port);

/// A TCP port of 127.0.0.1 that nobody listens on now.
int free_port();

} // namespace keyshift::demo
