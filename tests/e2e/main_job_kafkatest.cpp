// From one PostgreSQL to three nodes through the program alone, as docs/interface.md says it.
#include "tests/e2e/fold.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

constexpr int kUsers = 200;
constexpr int kPosts = 600;

class MainJob : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.must({"init"});
        installation_.connect().script(fmt::format(R"(
CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE public.posts (post_id bigint NOT NULL, user_id bigint NOT NULL REFERENCES public.users, content text, PRIMARY KEY (user_id, post_id));
INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, {0}) i;
INSERT INTO public.posts SELECT i, 1 + i % {0}, 'post ' || i FROM generate_series(1, {1}) i)",
                                                   kUsers, kPosts));
        installation_.add_node(1);
        installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "8", "--offline"});
        installation_.must({"table", "distribute", "posts", "--key", "user_id", "--with", "users", "--offline"});
        installation_.start_daemon();
    }

    /// Writes until told to stop, to the node that owns the key, following KS001.
    void write(std::stop_token stop)
    {
        std::map<std::string, std::unique_ptr<pg::Connection>> nodes;
        for (int number = 1; number <= 3; ++number) {
            nodes[fmt::format("n{}", number)] =
                std::make_unique<pg::Connection>(installation_.database(number).settings(fmt::format("n{}", number)));
        }
        for (int turn = 0; !stop.stop_requested(); ++turn) {
            const std::string user = std::to_string(1 + turn % kUsers);
            const std::string node(
                nodes["n1"]->query("SELECT keyshift.node_of('public.users', $1)", {user}).text(0, 0));
            try {
                pg::Connection& owner = *nodes.at(node);
                owner.query(
                    "UPDATE public.users SET name = $2 WHERE user_id = $1::bigint AND keyshift.must_own('public.users', $1::bigint)",
                    {user, fmt::format("turn {}", turn)});
                owner.query("INSERT INTO public.posts VALUES ($1::bigint, $2::bigint, 'new')",
                            {std::to_string(100'000 + turn), user});
                owner.query(
                    "DELETE FROM public.posts WHERE user_id = $2::bigint AND post_id = $1::bigint AND keyshift.must_own('public.posts', $2::bigint)",
                    {std::to_string(100'000 + turn - kUsers), user});
                ++written_;
            } catch (const pg::SqlError& error) {
                if (error.sqlstate() != "KS001") {
                    throw;
                }
            } catch (const pg::TransientSqlError&) {
                ++held_up_;
            }
        }
    }

    bool snapshot_done()
    {
        return installation_.connect()
                   .query("SELECT count(*) FROM keyshift.snapshot WHERE state <> 'done'")
                   .integer(0, 0) == 0;
    }

    void expect_topics_equal_tables(int nodes)
    {
        for (const auto& [table, key] : {std::pair("users", "user_id"), std::pair("posts", "post_id,user_id")}) {
            const auto rows = table_rows(installation_, table, key, nodes);
            Fold fold;
            EXPECT_TRUE(comes_true([&, name = table] {
                fold = fold_topic(installation_, name);
                std::map<std::string, std::string> folded;
                for (const auto& [identity, row] : fold.rows) {
                    folded[nlohmann::json::parse(identity).dump()] = row;
                }
                return folded == rows;
            })) << table
                << ": " << fold.rows.size() << " folded, " << rows.size() << " in the tables";
            EXPECT_EQ(fold.backward, 0) << table;
            EXPECT_GE(fold.records, static_cast<int>(rows.size()));
        }
    }

    Installation installation_{2};
    std::atomic<int> written_ = 0;
    std::atomic<int> held_up_ = 0;
};

TEST_F(MainJob, FromOneNodeToThreeUnderWritesWithTheDaemonKilledOnTheWay)
{
    ASSERT_TRUE(comes_true([&] { return snapshot_done(); }, 60));
    expect_topics_equal_tables(1);
    installation_.must({"projection", "create", "posts_by_id", "--key", "post_id", "--buckets", "8", "--sql",
                        "SELECT post_id, user_id, content FROM posts", "--wait", "--timeout", "60s"});
    installation_.add_node(2);
    installation_.add_node(3);
    {
        const std::jthread writer([&](std::stop_token stop) { write(stop); });
        installation_.must({"reshard", "start", "--to", "n2", "--wait", "--timeout", "120s"});
        EXPECT_EQ(installation_.keyshift({"reshard", "start"}).status, 0);
        sleep_for(300ms, {});
        installation_.kill_daemon();
        installation_.start_daemon();
        EXPECT_TRUE(comes_true(
            [&] {
                return installation_.json({"reshard", "status"}).at("state") == "done";
            },
            120))
            << installation_.json({"reshard", "status"}).dump(1);
        EXPECT_TRUE(comes_true([&] { return written_ > 100; }));
    }
    const auto placement = installation_.json({"node", "list"});
    EXPECT_EQ(placement.size(), 3U);
    EXPECT_EQ(table_rows(installation_, "users", "user_id", 3).size(), static_cast<std::size_t>(kUsers))
        << "every user is there exactly once";
    expect_topics_equal_tables(3);
    const auto verified = installation_.json({"projection", "verify", "posts_by_id"});
    EXPECT_EQ(verified.at("missing").get<int>() + verified.at("extra").get<int>() + verified.at("different").get<int>(),
              0)
        << verified.dump();
    EXPECT_EQ(installation_.keyshift({"reshard", "verify"}).status, 0);
    const auto route = installation_.json({"route", "users", "7"});
    EXPECT_EQ(route.at("node"),
              installation_.connect().query("SELECT keyshift.node_of('public.users', '7')").text(0, 0));
    EXPECT_EQ(installation_.stop_daemon(), 0);
}

} // namespace
} // namespace keyshift::test
