// A projection of groups through the program alone: it is on a node that comes later, and moves with its buckets while its
// base table moves too, is written, and the daemon is killed.
#include "tests/daemon/installation.hpp"

#include "core/backoff.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

const char* const kGroups =
    "SELECT user_id AS reader, kind, count(*) AS n, sum(amount) AS amount, max(like_id) AS newest, "
    "bool_and(amount > 0) AS all_paid FROM public.likes GROUP BY 1, 2 HAVING count(*) > 1";

class Groups : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.connect().script(
            "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, kind text, amount int, "
            "PRIMARY KEY (post_id, like_id)); INSERT INTO public.likes SELECT i % 50, i, i % 20, CASE i % 3 WHEN 0 THEN 'x' END, i % 7 "
            "FROM generate_series(1, 600) i");
        installation_.must({"table", "distribute", "likes", "--key", "post_id", "--buckets", "4", "--offline"});
        start();
    }

    void start() { installation_.start_daemon({{"KEYSHIFT_RESHARD__GRACE", "1s"}}); }

    bool job_ends()
    {
        return comes_true(
            [&] {
                const auto state = installation_.json({"reshard", "status"}).at("state");
                return state == "done" || state == "failed";
            },
            120);
    }

    Installation installation_{1};
};

TEST_F(Groups, MoveWithTheirTotalsWhileTheyAreWrittenAndTheDaemonIsKilled)
{
    installation_.must({"projection", "create", "by_reader", "--key", "reader", "--buckets", "4", "--apply", "--sql",
                        kGroups, "--wait", "--timeout", "60s"});
    installation_.connect().script("GRANT SELECT ON public.by_reader TO pg_monitor");
    installation_.add_node(2);
    std::jthread writing([&](std::stop_token stop) {
        for (int turn = 0; sleep_for(5ms, stop); ++turn) {
            const std::string n = std::to_string(turn);
            for (const int node : {1, 2}) { // a row that is not there, or has moved on, is nobody's
                try {
                    installation_.connect(node).script(
                        "UPDATE public.likes SET user_id = (user_id + 1) % 20, amount = " + n +
                        " % 5, kind = CASE WHEN kind IS NULL THEN 'y' END WHERE like_id = 1 + " + n + " * 7 % 600");
                } catch (const Error&) { // it moved at this moment
                }
            }
        }
    });
    installation_.must({"reshard", "start", "--drain", "n1"});
    ASSERT_TRUE(comes_true([&] { return installation_.json({"reshard", "status"}).at("moved") > 1; }, 60));
    installation_.kill_daemon();
    start();
    EXPECT_TRUE(job_ends());
    EXPECT_EQ(installation_.json({"reshard", "status"}).at("state"), "done")
        << installation_.json({"reshard", "status"}).dump(2);
    writing.request_stop();
    writing.join();
    for (const int node : {1, 2}) {
        installation_.connect(2).script(
            "SELECT keyshift.wait_for('public.by_reader', '" +
            std::string(installation_.connect(node).query("SELECT keyshift.token()").text(0, 0)) + "', '60 s')");
    }
    const auto verified = installation_.json({"projection", "verify", "by_reader"});
    EXPECT_EQ(verified.at("different"), 0) << verified.dump(2);
    EXPECT_EQ(verified.at("groups_different"), 0);
    pg::Connection second = installation_.connect(2);
    EXPECT_EQ(second.query("SELECT count(*) FROM public.likes").integer(0, 0), 600) << "all of it is here";
    EXPECT_EQ(second
                  .query("SELECT count(*) FROM ((TABLE public.by_reader EXCEPT " + std::string(kGroups) +
                         ") UNION ALL (" + kGroups + " EXCEPT TABLE public.by_reader)) d")
                  .integer(0, 0),
              0);
    EXPECT_GT(second.query("SELECT count(*) FROM public.by_reader").integer(0, 0), 10);
    EXPECT_EQ(installation_.json({"route", "by_reader", "7"}).at("node"), "n2");
    installation_.must({"doctor"});
    EXPECT_TRUE(second.query("SELECT has_table_privilege('pg_monitor', 'public.by_reader', 'SELECT')").boolean(0, 0));
}

} // namespace
} // namespace keyshift::test
