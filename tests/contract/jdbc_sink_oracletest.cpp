// The Debezium JDBC sink, which nobody here wrote, fed from our topics: its tables end equal to ours.
#include "tests/contract/kafka_connect.hpp"
#include "tests/contract/random_changes.hpp"
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace keyshift::test {
namespace {

std::map<std::string, std::string> sink_options(const Installation& installation, const TestDatabase& target,
                                                const RandomChanges& changes)
{
    const std::string converter = "org.apache.kafka.connect.json.JsonConverter";
    std::string topics;
    for (const ChangedTable& table : changes.tables()) {
        topics += fmt::format("{}{}.public.{}", topics.empty() ? "" : ",", installation.prefix(), table.name);
    }
    return {
        {"connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector"},
        {"tasks.max", "1"},
        {"topics", topics},
        {"connection.url", fmt::format("jdbc:postgresql://127.0.0.1:{}/{}", target.port(), target.name())},
        {"connection.username", "postgres"},
        {"connection.password", "unused"},
        {"insert.mode", "upsert"},
        {"delete.enabled", "true"},
        {"primary.key.mode", "record_key"},
        {"schema.evolution", "basic"},
        {"key.converter", converter},
        {"key.converter.schemas.enable", "true"},
        {"value.converter", converter},
        {"value.converter.schemas.enable", "true"},
        // The default takes header texts for values and stumbles over the key of several columns that a key change names.
        {"header.converter", "org.apache.kafka.connect.storage.StringConverter"},
        {"consumer.override.bootstrap.servers", installation.servers().kafka().at("bootstrap.servers")},
        {"consumer.override.auto.offset.reset", "earliest"}};
}

std::string sink_table(const Installation& installation, const std::string& table)
{
    return fmt::format("public.{}_public_{}", installation.prefix(), table);
}

/// Every row, each column in the text of its type in our table.
std::multiset<std::string> rows(pg::Connection& connection, const ChangedTable& table, const std::string& name)
{
    if (connection.query("SELECT to_regclass($1) IS NULL", {name}).boolean(0, 0)) {
        return {};
    }
    std::string columns;
    for (const auto& [column, type] : table.columns) {
        columns += fmt::format("{}{}::{}", columns.empty() ? "" : ", ", column, type);
    }
    std::multiset<std::string> all;
    const pg::Result found = connection.query(fmt::format("SELECT ROW({})::text FROM {}", columns, name));
    for (int row = 0; row < found.rows(); ++row) {
        all.emplace(found.text(row, 0));
    }
    return all;
}

std::string first_difference(const std::multiset<std::string>& ours, const std::multiset<std::string>& theirs)
{
    std::string said = fmt::format("{} rows of {}", theirs.size(), ours.size());
    const auto one = std::ranges::find_if(ours, [&](const std::string& row) { return !theirs.contains(row); });
    const auto other = std::ranges::find_if(theirs, [&](const std::string& row) { return !ours.contains(row); });
    said += one == ours.end() ? "" : "\n  ours:   " + one->substr(0, 500);
    said += other == theirs.end() ? "" : "\n  theirs: " + other->substr(0, 500);
    return said;
}

TEST(JdbcSink, FedFromOurTopicsThroughADayOfRandomChangesEndsWithTablesEqualToOurs)
{
    Installation installation;
    installation.set_up();
    const TestDatabase target(2, "sink");
    RandomChanges changes(20260101);
    pg::Connection ours = installation.connect();
    changes.create(ours);
    changes.run(ours, 200);
    installation.must({"table", "capture", "--all"});
    const Environment environment{{"KEYSHIFT_CDC__SCHEMAS", "true"}};
    installation.start_daemon(environment);
    changes.run(ours, 1000);
    const Connector sink(installation.servers().oracle_port(), installation.prefix() + "-sink",
                         sink_options(installation, target, changes));
    changes.run(ours, 1000);
    // What is replayed after a crash must not hurt a sink either.
    installation.kill_daemon();
    changes.run(ours, 500);
    installation.start_daemon(environment);
    changes.run(ours, 1000);
    pg::Connection theirs = target.connect();
    for (const ChangedTable& table : changes.tables()) {
        const auto wanted = rows(ours, table, "public." + table.name);
        EXPECT_GT(wanted.size(), 5U) << table.name;
        const std::string name = sink_table(installation, table.name);
        const auto equal = [&] {
            return rows(theirs, table, name) == wanted;
        };
        EXPECT_TRUE(comes_true([&] { return equal() || sink.failed(); }, 300) && equal())
            << table.name << ": " << first_difference(wanted, rows(theirs, table, name)) << "\n"
            << sink.status().substr(0, 3000);
    }
    EXPECT_EQ(installation.stop_daemon(), 0);
}

} // namespace
} // namespace keyshift::test
