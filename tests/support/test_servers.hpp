#pragma once
/// The real servers that all tests of one run share, and what a test makes for itself on them.

#include "core/kafka/client.hpp"
#include "core/pg/connection.hpp"

#include <map>
#include <string>
#include <vector>

namespace keyshift::test {

/// Where the shared servers are, from $KEYSHIFT_TEST_SERVERS/env. Throws when they are not there: run ctest, which starts them.
class TestServers {
public:
    TestServers();
    /// Server 1, 2 or 3.
    int postgres_port(int server) const;
    /// postgres, initdb and pg_ctl, of the version of server 1.
    std::string postgres_binaries() const { return values_.at("PG_BIN"); }
    /// psql and friends, which may be older.
    std::string postgres_clients() const { return values_.at("PG_CLIENT_BIN"); }
    kafka::Settings kafka() const { return {{"bootstrap.servers", values_.at("KAFKA")}}; }
    /// The broker of the real Debezium and the port of its Kafka Connect worker, in a run of `./dev test --oracle`.
    kafka::Settings oracle_kafka() const { return {{"bootstrap.servers", values_.at("ORACLE_KAFKA")}}; }
    int oracle_port() const { return std::stoi(values_.at("ORACLE_CONNECT")); }

private:
    std::map<std::string, std::string> values_;
};

/// A name that no other test of this run has: letters, digits and underscore.
std::string unique_name(const std::string& beginning);

/// Whom a database belongs to and whom the test and Keyshift connect as.
enum class DatabaseOwner {
    superuser,
    plain, ///< LOGIN, REPLICATION, CREATEDB and nothing else, as on managed services
};
/// $KEYSHIFT_TEST_OWNER: superuser, or plain.
DatabaseOwner usual_owner();

/// A database of its own on a shared server; dropped with its replication slots when it goes out of scope.
class TestDatabase {
public:
    explicit TestDatabase(int server = 1, const std::string& beginning = "test", DatabaseOwner owner = usual_owner());
    ~TestDatabase();
    TestDatabase(const TestDatabase&) = delete;
    TestDatabase& operator=(const TestDatabase&) = delete;

    const std::string& name() const { return name_; }
    int port() const { return port_; }
    std::string conninfo() const { return conninfo_as(role_); }
    std::string conninfo_as(const std::string& role) const;
    const std::string& role() const { return role_; }
    pg::ConnectionSettings settings(const std::string& node = "test") const { return {node, conninfo(), "", "test"}; }
    pg::Connection connect(const std::string& node = "test") const { return pg::Connection(settings(node)); }
    /// Whoever owns the database: for what only an administrator may do.
    pg::Connection connect_superuser() const
    {
        return pg::Connection({"administrator", conninfo_as("postgres"), "", "test"});
    }

private:
    TestServers servers_;
    int port_;
    std::string role_;
    std::string name_;
};

/// Every record of a topic, partition by partition, in order. Waits until `expected` are there or ten seconds have passed.
std::vector<kafka::Message> read_topic(const kafka::Settings& settings, const std::string& topic,
                                       std::size_t expected = 0);

} // namespace keyshift::test
