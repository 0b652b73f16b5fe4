/// `keyshift ddl` with the daemon at work: moves, events, the command line.

#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

/// users on two nodes, two buckets on each.
class DdlCommand : public testing::Test {
protected:
    DdlCommand()
    {
        installation.set_up();
        installation.connect().script("CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text);"
                                      "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, 400) i");
        installation.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
        installation.add_node(2);
        installation.start_daemon({{"KEYSHIFT_RESHARD__GRACE", "0s"}, {"KEYSHIFT_CDC__TRUNCATE", "true"}});
        EXPECT_TRUE(comes_true([&] {
            return installation.connect().query("SELECT bool_and(state = 'done') FROM keyshift.snapshot").boolean(0, 0);
        }));
    }

    std::int64_t count(int node, const std::string& sql) const
    {
        return installation.connect(node).query(sql).integer(0, 0);
    }

    Installation installation{1};
};

TEST_F(DdlCommand, ATableTruncatedOnTwoNodesIsOneEvent)
{
    installation.must({"reshard", "start", "--to", "n2", "--buckets", "1,2", "--wait", "--timeout", "2min"});
    EXPECT_EQ(installation.keyshift({"ddl", "TRUNCATE users"}).status, 2) << "it asks, and nobody can answer";
    installation.must({"ddl", "TRUNCATE users", "--yes"});
    EXPECT_EQ(count(1, "SELECT count(*) FROM public.users") + count(2, "SELECT count(*) FROM public.users"), 0);
    for (int user = 1; user <= 40; ++user) {
        const int node = count(1, fmt::format("SELECT keyshift.owns('public.users', '{}')::int", user)) == 1 ? 1 : 2;
        installation.connect(node).script(fmt::format("INSERT INTO public.users VALUES ({}, 'after')", user));
    }
    const std::string topic = installation.prefix() + ".public.users";
    std::int64_t truncations = 0;
    EXPECT_TRUE(comes_true([&] {
        std::int64_t after = 0;
        truncations = 0;
        for (const kafka::Message& message : read_topic(installation.servers().kafka(), topic)) {
            const auto event = nlohmann::json::parse(message.value.value_or("{}"));
            after += event.contains("after") && !event["after"].is_null() && event["after"]["name"] == "after" ? 1 : 0;
            truncations += event.value("op", "") == "t" ? 1 : 0;
        }
        return after == 40;
    }));
    EXPECT_EQ(truncations, 1);
}

TEST_F(DdlCommand, AProjectionOfATruncatedTableShowsWhatIsThereAfterwards)
{
    installation.must({"reshard", "start", "--to", "n2", "--buckets", "1,2", "--wait", "--timeout", "2min"});
    installation.must({"projection", "create", "by_name", "--key", "name", "--sql", "SELECT name, user_id FROM users",
                       "--apply", "--wait", "--timeout", "2min"});
    installation.must({"ddl", "TRUNCATE users", "--yes"});
    const int owner = count(1, "SELECT keyshift.owns('public.users', '7')::int") == 1 ? 1 : 2;
    installation.connect(owner).script("INSERT INTO public.users VALUES (7, 'after')");
    const auto token = installation.connect(owner).query("SELECT keyshift.token()");
    std::int64_t shown = 0;
    for (int node = 1; node <= 2; ++node) {
        pg::Connection reader = installation.connect(node);
        reader.query("SELECT keyshift.wait_for('public.by_name', $1, '60 s')", {token.text(0, 0)});
        shown += reader.query("SELECT count(*) FROM public.by_name").integer(0, 0);
    }
    EXPECT_EQ(shown, 1);
    EXPECT_TRUE(comes_true([&] { return installation.json({"projection", "show", "by_name"}).at("generation") == 2; }));
    installation.must({"projection", "verify", "by_name"});
}

TEST_F(DdlCommand, GoesBetweenTwoMovesAndTheEventsShowTheColumn)
{
    installation.must({"reshard", "start", "--to", "n2", "--buckets", "0,1,2,3"});
    const Finished done =
        installation.keyshift({"ddl", "ALTER TABLE users ADD COLUMN age int DEFAULT 7", "--wait", "--timeout", "1min"});
    ASSERT_EQ(done.status, 0) << done.err;
    EXPECT_TRUE(comes_true([&] { return installation.json({"reshard", "status"}).at("state") == "done"; }, 60));
    EXPECT_EQ(count(2, "SELECT count(*) FROM public.users WHERE age = 7"), 400);
    EXPECT_TRUE(installation.json({"doctor"}).empty()) << installation.json({"doctor"});
    const Finished index = installation.keyshift({"ddl", "CREATE INDEX users_age ON users (age)"});
    EXPECT_EQ(index.status, 0) << index.err;
    const Finished refused = installation.keyshift({"ddl", "ALTER TABLE users ADD UNIQUE (name)"});
    EXPECT_EQ(refused.status, 5);
    EXPECT_THAT(refused.err, HasSubstr("does not include the shard key"));
    EXPECT_EQ(installation.keyshift({"ddl", "--finish"}).status, 5) << "nothing is unfinished";
    EXPECT_EQ(installation.keyshift({"ddl"}).status, 2);
}

} // namespace
} // namespace keyshift::test
