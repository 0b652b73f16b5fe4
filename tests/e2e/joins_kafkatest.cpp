// A projection of several tables through the program alone: a node that joins later gets what it needs whole before its first bucket,
// and the projection is exact while it and all of its tables move, are written, and the daemon is killed.
#include "tests/daemon/installation.hpp"

#include "core/backoff.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

const char* const kTables =
    "CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text); "
    "CREATE TABLE public.posts (user_id bigint, post_id bigint, content text, PRIMARY KEY (user_id, post_id)); "
    "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, kind text, PRIMARY KEY (post_id, like_id)); "
    "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(0, 19) i; "
    "INSERT INTO public.posts SELECT i % 20, i, 'post ' || i FROM generate_series(0, 49) i; "
    "INSERT INTO public.likes SELECT i % 50, i, i % 20, CASE i % 3 WHEN 0 THEN 'x' END FROM generate_series(1, 600) i";

const char* const kReaders =
    "SELECT l.user_id AS reader, u.name, l.like_id, coalesce(l.kind, '-') AS kind, p.content, a.name AS author FROM public.likes l "
    "JOIN public.users u ON u.user_id = l.user_id LEFT JOIN public.posts p ON p.post_id = l.post_id "
    "LEFT JOIN public.users a ON a.user_id = p.user_id";
const char* const kActivity =
    "SELECT user_id, post_id, 'post' AS what, content FROM public.posts UNION ALL SELECT user_id, like_id, 'like', kind FROM public.likes";

class Joins : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.connect().script(kTables);
        for (const char* table : {"users", "posts", "likes"}) {
            installation_.must({"table", "distribute", table, "--key",
                                table == std::string("likes") ? "post_id" : "user_id", "--buckets", "4", "--offline"});
        }
        start();
        create("by_reader", "reader", kReaders);
        create("activity", "user_id", kActivity);
    }

    void start() { installation_.start_daemon({{"KEYSHIFT_RESHARD__GRACE", "1s"}}); }

    void create(const std::string& name, const std::string& key, const std::string& sql)
    {
        installation_.must({"projection", "create", name, "--key", key, "--buckets", "4", "--apply", "--sql", sql,
                            "--wait", "--timeout", "60s"});
    }

    bool job_ends()
    {
        return comes_true(
            [&] {
                const auto state = installation_.json({"reshard", "status"}).at("state");
                return state == "done" || state == "failed";
            },
            120);
    }

    /// A row that is not there, or has moved on, is nobody's.
    void write(int turn)
    {
        const std::string n = std::to_string(turn);
        const std::string changes[] = {"UPDATE public.likes SET user_id = (user_id + 1) % 20, kind = 'k" + n +
                                           "' WHERE like_id = 1 + " + n + " * 7 % 600",
                                       "UPDATE public.users SET name = 'name " + n + "' WHERE user_id = " + n + " % 20",
                                       "UPDATE public.posts SET content = 'content " + n + "' WHERE post_id = " + n +
                                           " % 50"};
        for (const int node : {1, 2}) {
            try {
                installation_.connect(node).script(changes[turn % 3]);
            } catch (const Error&) { // it moved at this moment
            }
        }
    }

    void expect_exact(const std::string& name, const std::string& sql)
    {
        pg::Connection second = installation_.connect(2);
        for (const int node : {1, 2}) {
            second.script("SELECT keyshift.wait_for('public." + name + "', '" +
                          std::string(installation_.connect(node).query("SELECT keyshift.token()").text(0, 0)) +
                          "', '60 s')");
        }
        const auto verified = installation_.json({"projection", "verify", name});
        EXPECT_EQ(verified.at("different"), 0) << verified.dump(2);
        EXPECT_EQ(verified.at("missing"), 0) << verified.dump(2);
        EXPECT_EQ(second
                      .query("SELECT count(*) FROM ((TABLE public." + name + " EXCEPT ALL (" + sql + ")) UNION ALL ((" +
                             sql + ") EXCEPT ALL TABLE public." + name + ")) d")
                      .integer(0, 0),
                  0)
            << name;
        EXPECT_EQ(installation_.json({"route", name, "7"}).at("node"), "n2");
    }

    Installation installation_{1};
};

TEST_F(Joins, AreExactOnANodeThatJoinsAndWhileTheirTablesMoveAndTheDaemonIsKilled)
{
    installation_.connect().script("GRANT SELECT ON public.by_reader TO pg_monitor");
    installation_.add_node(2);
    std::jthread writing([&](std::stop_token stop) {
        for (int turn = 0; sleep_for(5ms, stop); ++turn) {
            write(turn);
        }
    });
    installation_.must({"reshard", "start", "--drain", "n1"});
    ASSERT_TRUE(comes_true([&] { return installation_.json({"reshard", "status"}).at("moved") > 3; }, 60));
    installation_.kill_daemon();
    start();
    EXPECT_TRUE(job_ends());
    EXPECT_EQ(installation_.json({"reshard", "status"}).at("state"), "done")
        << installation_.json({"reshard", "status"}).dump(2);
    writing.request_stop();
    writing.join();
    expect_exact("by_reader", kReaders);
    expect_exact("activity", kActivity);
    pg::Connection second = installation_.connect(2);
    EXPECT_EQ(second.query("SELECT count(*) FROM public.by_reader").integer(0, 0), 600);
    EXPECT_TRUE(second.query("SELECT has_table_privilege('pg_monitor', 'public.by_reader', 'SELECT')").boolean(0, 0));
    EXPECT_TRUE(comes_true([&] {
        return installation_.get("/metrics").body.find(
                   "keyshift_projection_fanout_oldest_seconds{projection=\"by_reader\"} 0") != std::string::npos;
    }));
    installation_.must({"doctor"});
    for (const char* name : {"by_reader", "activity"}) {
        installation_.must({"projection", "drop", name, "--yes"});
    }
    EXPECT_EQ(
        second
            .query(
                "SELECT coalesce(string_agg(relname, ' '), '') FROM pg_class WHERE relname ~ '^(by_reader|activity)'")
            .text(0, 0),
        "");
}

} // namespace
} // namespace keyshift::test
