// INV-PRJ-1 through the program alone: it is killed at each commit of a batch in turn, and compared while buckets of the
// projection and of its table move.
#include "tests/daemon/installation.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

const char* const kRows = "SELECT user_id, like_id, amount FROM public.likes";
const char* const kSums =
    "SELECT user_id, count(*) AS n, sum(amount) AS amount, max(like_id) AS newest FROM public.likes GROUP BY user_id";

class ProjectionFaults : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.add_node(2);
        installation_.connect().script(
            "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, amount int, PRIMARY KEY (post_id, like_id)); "
            "INSERT INTO public.likes SELECT i % 50, i, i % 20, i % 7 FROM generate_series(1, 400) i");
        installation_.must({"table", "distribute", "likes", "--key", "post_id", "--buckets", "4", "--offline"});
        start();
        for (const auto& [name, sql] : {std::pair("by_user", kRows), std::pair("sums", kSums)}) {
            installation_.must({"projection", "create", name, "--key", "user_id", "--buckets", "4", "--sql", sql,
                                "--apply", "--wait", "--timeout", "60s"});
        }
    }

    void start(Environment environment = {})
    {
        environment["KEYSHIFT_RESHARD__GRACE"] = "1s";
        installation_.start_daemon(environment);
    }

    std::vector<std::string> rows(const std::vector<int>& nodes, const std::string& query)
    {
        std::vector<std::string> all;
        for (const int node : nodes) {
            pg::Connection connection = installation_.connect(node);
            const pg::Result found = connection.query("SELECT r::text FROM (" + query + ") r");
            for (int row = 0; row < found.rows(); ++row) {
                all.emplace_back(found.text(row, 0));
            }
        }
        std::sort(all.begin(), all.end());
        return all;
    }

    /// While the rows of likes are on one node.
    void expect_exact(int base)
    {
        for (const auto& [name, sql] : {std::pair("by_user", kRows), std::pair("sums", kSums)}) {
            const auto wanted = rows({base}, sql);
            const std::string view = std::string("TABLE public.") + name;
            EXPECT_TRUE(comes_true([&] { return rows({1, 2}, view) == wanted; }, 60)) << name;
            EXPECT_EQ(installation_.keyshift({"projection", "verify", name}).status, 0) << name;
        }
        EXPECT_EQ(installation_.json({"rejections", "list"}).size(), 0U);
    }

    Installation installation_{1};
};

/// Between the nodes, and between the rows at their new key and the tombstones at the old one.
TEST_F(ProjectionFaults, KilledAtEachCommitOfABatchTheNextDaemonGoesOn)
{
    for (int commit = 1; commit <= 8; ++commit) {
        SCOPED_TRACE(commit);
        installation_.stop_daemon();
        installation_.connect().script(fmt::format(
            "UPDATE public.likes SET user_id = (user_id + 7) % 20, amount = amount + 1; DELETE FROM public.likes WHERE like_id = {}",
            commit));
        try {
            start({{"KEYSHIFT_FAILPOINTS", fmt::format("projection.committing=kill@{}", commit)}});
        } catch (const std::runtime_error&) { // it died before it was ready
        }
        ASSERT_TRUE(comes_true([&] { return !installation_.daemon().running(); }, 60));
        start();
        expect_exact(1);
    }
}

TEST_F(ProjectionFaults, ComparedWhileBucketsMoveItGivesNoFalseAlarm)
{
    std::jthread writing([&](std::stop_token stop) {
        for (int turn = 0; sleep_for(5ms, stop); ++turn) {
            for (const int node : {1, 2}) {
                try {
                    installation_.connect(node).script(fmt::format(
                        "UPDATE public.likes SET user_id = (user_id + 1) % 20, amount = {0} % 5 WHERE like_id = 1 + {0} * 7 % 400",
                        turn));
                } catch (const Error&) { // it moved at this moment
                }
            }
        }
    });
    installation_.must({"reshard", "start", "--drain", "n1"});
    int looks = 0;
    for (std::string state; state != "done" && state != "failed"; ++looks) {
        for (const char* name : {"by_user", "sums"}) {
            const auto found = installation_.keyshift({"projection", "verify", name});
            EXPECT_EQ(found.status, 0) << name << " look " << looks << ": " << found.out << found.err;
        }
        state = installation_.json({"reshard", "status"}).at("state");
        ASSERT_LT(looks, 200);
    }
    EXPECT_EQ(installation_.json({"reshard", "status"}).at("state"), "done");
    EXPECT_GT(looks, 2);
    writing.request_stop();
    writing.join();
    expect_exact(2);
}

} // namespace
} // namespace keyshift::test
