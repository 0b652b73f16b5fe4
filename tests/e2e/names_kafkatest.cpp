// Names that SQL allows and programs trip over, from CREATE TABLE to the topic and back.
#include "tests/e2e/fold.hpp"

#include "core/change_event.hpp"
#include "core/names.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

/// Quotes, dots, spaces, letters of other alphabets and supplementary characters, percent signs and commas, and twins that
/// differ in case only.
const std::array kTables{QualifiedName{"My Sch.ema", "Tab \"le\""}, QualifiedName{"my sch.ema", "tab 'le'"},
                         QualifiedName{"public", "Twins"},          QualifiedName{"public", "twins"},
                         QualifiedName{"schöma", "таблица 表 😀"},   QualifiedName{"public", "a.b%c,d;e=f"}};
const std::array<std::string, 7> kColumns{"K.ey", "k.ey", "qu\"ote", "sp ace", "ünï 😀", "a%2C,b;c=d", "back\\slash"};

const std::string kToasted = "ünï 😀";

std::string column_list(std::string_view what)
{
    std::string list;
    for (const std::string& column : kColumns) {
        list +=
            fmt::format("{}{}", list.empty() ? "" : ", ", fmt::format(fmt::runtime(what), quote_identifier(column)));
    }
    return list;
}

void create(pg::Connection& connection, const QualifiedName& table)
{
    connection.script(fmt::format("CREATE SCHEMA IF NOT EXISTS {}; CREATE TABLE {} ({}, PRIMARY KEY ({}, {}));"
                                  "ALTER TABLE {} ALTER {} SET STORAGE EXTERNAL",
                                  quote_identifier(table.schema), table.quoted(), column_list("{} text"),
                                  quote_identifier(kColumns[0]), quote_identifier(kColumns[3]), table.quoted(),
                                  quote_identifier(kColumns[4])));
}

/// Rows before the capture, then every kind of change, some with an unchanged TOAST value in a column of an odd name.
void insert_rows(pg::Connection& connection, const QualifiedName& table, int from, int to)
{
    connection.script(
        fmt::format("INSERT INTO {} SELECT 'key ' || i, i::text, 'q', i % 5, repeat('long', 1000) || i, 'x', NULL "
                    "FROM generate_series({}, {}) i",
                    table.quoted(), from, to));
}

void change_rows(pg::Connection& connection, const QualifiedName& table)
{
    const std::string name = table.quoted();
    connection.script(fmt::format("UPDATE {0} SET \"qu\"\"ote\" = 'changed' WHERE \"k.ey\"::int % 3 = 0;"
                                  "UPDATE {0} SET \"K.ey\" = 'moved ' || \"k.ey\" WHERE \"k.ey\"::int % 7 = 0;"
                                  "DELETE FROM {0} WHERE \"k.ey\"::int % 4 = 0",
                                  name));
}

/// after as PostgreSQL's JSON, by key.
std::map<std::string, std::string> rows_of(pg::Connection& connection, const QualifiedName& table)
{
    std::map<std::string, std::string> rows;
    const pg::Result all = connection.query(fmt::format("SELECT row_to_json(t)::text FROM {} t", table.quoted()));
    for (int row = 0; row < all.rows(); ++row) {
        const auto values = nlohmann::json::parse(all.text(row, 0));
        const nlohmann::json key{{kColumns[0], values.at(kColumns[0])}, {kColumns[3], values.at(kColumns[3])}};
        rows[key.dump()] = values.dump();
    }
    return rows;
}

/// The topic's last word on each key. An unchanged TOAST value is taken from the record that had it.
std::map<std::string, std::string> rows_of_topic(const Installation& installation, const QualifiedName& table)
{
    const std::string topic = data_topic(installation.prefix(), table.schema, table.name);
    std::map<std::string, nlohmann::json> rows;
    std::map<std::string, nlohmann::json> whole; // by "k.ey", which never changes
    for (const kafka::Message& message : read_topic(installation.servers().kafka(), topic)) {
        const nlohmann::json value = nlohmann::json::parse(message.value.value_or("null"));
        if (value.is_null()) {
            continue;
        }
        nlohmann::json after = value.at("after");
        const auto absent = AbsentColumns::parse(message.header(kHeaderAbsent).value_or("")).value();
        for (const std::string& column : absent.after) {
            after[column] = nullptr;
        }
        if (!after.is_null() && absent.after.empty()) {
            whole[after.at("k.ey")] = after;
        }
        rows[nlohmann::json::parse(message.key.value()).dump()] = std::move(after);
    }
    std::map<std::string, std::string> living;
    for (auto& [key, row] : rows) {
        if (!row.is_null()) {
            row[kToasted] = whole[row.at("k.ey")][kToasted];
            living[key] = row.dump();
        }
    }
    return living;
}

/// How many rows differ: the rows themselves are long.
std::size_t differences(const std::map<std::string, std::string>& left, const std::map<std::string, std::string>& right)
{
    std::vector<std::pair<std::string, std::string>> different;
    std::set_symmetric_difference(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(different));
    return different.size();
}

TEST(Names, OfEveryKindPassThroughCaptureToTheirOwnTopics)
{
    Installation installation;
    installation.set_up();
    pg::Connection connection = installation.connect();
    std::vector<std::string> capture{"table", "capture"};
    for (const QualifiedName& table : kTables) {
        create(connection, table);
        insert_rows(connection, table, 1, 20);
        capture.push_back(table.quoted());
    }
    installation.must(capture);
    installation.start_daemon();
    for (const QualifiedName& table : kTables) {
        insert_rows(connection, table, 21, 60);
        change_rows(connection, table);
    }
    for (const QualifiedName& table : kTables) {
        const auto wanted = rows_of(connection, table);
        EXPECT_EQ(wanted.size(), 45U);
        EXPECT_TRUE(comes_true([&] { return rows_of_topic(installation, table) == wanted; }, 60))
            << table.quoted() << ": " << differences(rows_of_topic(installation, table), wanted) << " differences";
    }
    EXPECT_EQ(installation.stop_daemon(), 0);
}

class TopicClash : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        for (const QualifiedName& table : {first_, second_}) {
            connection_.script(fmt::format("CREATE SCHEMA {}; CREATE TABLE {} (id bigint PRIMARY KEY)",
                                           quote_identifier(table.schema), table.quoted()));
        }
        installation_.must({"table", "capture", first_.quoted()});
    }

    Installation installation_;
    pg::Connection connection_ = installation_.connect();
    const QualifiedName first_{"a.b", "c"};
    const QualifiedName second_{"a", "b.c"};
};

TEST_F(TopicClash, IsRefusedWithTheOtherTableAndWhatToDo)
{
    const std::string before(connection_.query("SELECT count(*) FROM keyshift.captured_table").text(0, 0));
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"table", "capture", second_.quoted()},
          {"table", "distribute", second_.quoted(), "--key", "id", "--buckets", "2", "--offline"}}) {
        const Finished done = installation_.keyshift(command);
        EXPECT_EQ(done.status, 5) << done.out << done.err;
        EXPECT_THAT(done.err, HasSubstr("its topic would be " + installation_.prefix() +
                                        ".a.b.c, which is the topic of " + first_.quoted()));
        EXPECT_THAT(done.err, HasSubstr("ALTER TABLE " + second_.quoted() + " RENAME"));
    }
    const auto all = installation_.json({"table", "capture", "--all"});
    EXPECT_TRUE(all.at("captured").empty()) << all;
    EXPECT_THAT(all.at("notes").dump(), HasSubstr("its topic would be"));
    EXPECT_EQ(connection_.query("SELECT count(*) FROM keyshift.captured_table").text(0, 0), before);
    connection_.script(fmt::format("ALTER TABLE {} RENAME TO other", second_.quoted()));
    installation_.must({"table", "capture", "a.other"});
}

TEST_F(TopicClash, StopsAStreamWhoseCatalogHasBothAlready)
{
    connection_.query("INSERT INTO keyshift.captured_table (schema_name, table_name, node) VALUES ($1, $2, 'n1')",
                      {second_.schema, second_.name});
    BackgroundProgram daemon({keyshift_binary(), "--config", installation_.config_file(), "run"});
    EXPECT_TRUE(comes_true([&] {
        const auto status = installation_.json({"cdc", "status"});
        return !status.empty() && status.at(0).at("state") == "stopped" &&
               status.at(0).at("error").dump().find("its topic would be") != std::string::npos;
    })) << daemon.output();
}

TEST(TopicName, LongerThanKafkaTakesIsRefused)
{
    const TestServers servers;
    const TestDatabase database;
    const TemporaryDirectory directory;
    const std::string config = directory.write(
        "keyshift.toml",
        fmt::format(
            "[catalog]\ndsn = \"{}\"\ncluster = \"{}\"\n[kafka]\n\"bootstrap.servers\" = \"{}\"\n[cdc]\ntopic_prefix = \"{}\"\n",
            database.conninfo(), unique_name("long"), servers.kafka().at("bootstrap.servers"), std::string(180, 'p')));
    const auto keyshift = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {keyshift_binary(), "--config", config});
        return run_program(arguments);
    };
    database.connect().script(
        fmt::format("CREATE TABLE public.{} (id int PRIMARY KEY); CREATE TABLE public.short (id int PRIMARY KEY)",
                    std::string(63, 't')));
    ASSERT_EQ(keyshift({"init"}).status, 0);
    ASSERT_EQ(keyshift({"node", "add", "n1", "--dsn", database.conninfo()}).status, 0);
    const Finished done = keyshift({"table", "capture", std::string(63, 't')});
    EXPECT_EQ(done.status, 5) << done.out << done.err;
    EXPECT_THAT(done.err, HasSubstr("251 letters; Kafka takes 249"));
    EXPECT_EQ(keyshift({"table", "capture", "short"}).status, 0);
}

} // namespace
} // namespace keyshift::test
