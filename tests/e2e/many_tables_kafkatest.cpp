// A database of many tables, and tables as wide as PostgreSQL makes them.
#include "core/change_event.hpp"
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>

namespace keyshift::test {
namespace {

using Clock = std::chrono::steady_clock;

/// 300, or $KEYSHIFT_MANY_TABLES.
int many()
{
    const char* const wanted = std::getenv("KEYSHIFT_MANY_TABLES");
    return wanted != nullptr ? std::atoi(wanted) : 300;
}

double seconds_since(Clock::time_point begin)
{
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// VmHWM: the most that the process had resident, in kB.
std::string peak_memory(pid_t pid)
{
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM")) {
            return line;
        }
    }
    return "unknown";
}

std::size_t records(const Installation& installation, const std::string& topic)
{
    return read_topic(installation.servers().kafka(), topic).size();
}

TEST(ManyTables, AreCapturedAtOnceAndEachHasItsRowsAndChangesInItsTopic)
{
    Installation installation;
    installation.set_up();
    pg::Connection connection = installation.connect();
    for (int table = 0; table < many(); ++table) {
        connection.script(fmt::format(
            "CREATE TABLE public.t{0} (id int PRIMARY KEY, v text); INSERT INTO public.t{0} VALUES (1, 'row')", table));
    }
    auto begin = Clock::now();
    EXPECT_EQ(installation.json({"table", "capture", "--all"}).at("captured").size(), static_cast<std::size_t>(many()));
    std::cout << many() << " tables captured in " << seconds_since(begin) << " s\n";
    installation.start_daemon();
    begin = Clock::now();
    EXPECT_TRUE(comes_true(
        [&] {
            return connection.query("SELECT count(*) FROM keyshift.snapshot WHERE state <> 'done'").integer(0, 0) == 0;
        },
        600));
    std::cout << "snapshots done after " << seconds_since(begin) << " s\n";
    for (int table = 0; table < many(); ++table) {
        connection.script(fmt::format("INSERT INTO public.t{} VALUES (2, 'change')", table));
    }
    const std::string last = fmt::format("{}.public.t{}", installation.prefix(), many() - 1);
    begin = Clock::now();
    EXPECT_TRUE(comes_true([&] { return records(installation, last) >= 2; }, 300));
    std::cout << "changes there after " << seconds_since(begin) << " s; " << peak_memory(installation.daemon().pid())
              << "\n";
    for (int table = 0; table < many(); table += 7) {
        std::set<std::string> keys; // records may come twice
        for (const kafka::Message& message : read_topic(
                 installation.servers().kafka(), fmt::format("{}.public.t{}", installation.prefix(), table), 2)) {
            keys.insert(message.key.value());
        }
        EXPECT_EQ(keys, (std::set<std::string>{R"({"id":1})", R"({"id":2})"})) << table;
    }
    EXPECT_EQ(installation.stop_daemon(), 0);
}

class WideTable : public ::testing::TestWithParam<int> {};

TEST_P(WideTable, PassesWithEveryColumn)
{
    Installation installation;
    installation.set_up();
    pg::Connection connection = installation.connect();
    std::string columns = "id int PRIMARY KEY";
    std::string values = "i";
    for (int column = 1; column < GetParam(); ++column) {
        columns += fmt::format(", c{} {}", column, column % 2 == 0 ? "int" : "boolean");
        values += column % 2 == 0 ? fmt::format(", i * 10000 + {}", column) : column % 3 == 0 ? ", NULL" : ", true";
    }
    connection.script(fmt::format("CREATE TABLE public.wide ({})", columns));
    const auto insert = [&](int from, int to) {
        connection.script(
            fmt::format("INSERT INTO public.wide SELECT {} FROM generate_series({}, {}) i", values, from, to));
    };
    insert(1, 5);
    installation.must({"table", "capture", "wide"});
    installation.start_daemon();
    // A row that changes while it is read is in the topic once, and the records are counted.
    ASSERT_TRUE(comes_true(
        [&] { return connection.query("SELECT bool_and(state = 'done') FROM keyshift.snapshot").boolean(0, 0); }));
    insert(6, 20);
    connection.script("UPDATE public.wide SET c2 = -1 WHERE id % 4 = 0; DELETE FROM public.wide WHERE id = 3");
    const std::string topic = installation.prefix() + ".public.wide";
    ASSERT_TRUE(comes_true([&] { return records(installation, topic) >= 20 + 5 + 2; }, 60));
    std::map<std::string, nlohmann::json> rows;
    for (const kafka::Message& message : read_topic(installation.servers().kafka(), topic)) {
        if (message.value) {
            rows[message.key.value()] = nlohmann::json::parse(*message.value).at("after");
        }
    }
    const pg::Result all =
        connection.query("SELECT json_build_object('id', id)::text, row_to_json(w)::text FROM public.wide w");
    EXPECT_EQ(all.rows(), 19);
    for (int row = 0; row < all.rows(); ++row) {
        const std::string key = nlohmann::json::parse(all.text(row, 0)).dump();
        EXPECT_EQ(rows[key].size(), static_cast<std::size_t>(GetParam()));
        EXPECT_TRUE(rows[key] == nlohmann::json::parse(all.text(row, 1))) << key;
    }
    EXPECT_TRUE(rows[R"({"id":3})"].is_null());
    EXPECT_EQ(installation.stop_daemon(), 0);
}

// 1,600 is PostgreSQL's limit.
INSTANTIATE_TEST_SUITE_P(Columns, WideTable, ::testing::Values(500, 1600));

} // namespace
} // namespace keyshift::test
