// Buckets of a base table are split while a projection of it is built, lives and is compared: it equals its definition.
#include "tests/daemon/installation.hpp"

#include "core/backoff.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

class SplitBelowProjection : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.connect().script(
            "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, amount int, "
            "PRIMARY KEY (post_id, like_id)); INSERT INTO public.likes SELECT i % 50, i, i % 20, 0 FROM generate_series(1, 600) i");
        installation_.must({"table", "distribute", "likes", "--key", "post_id", "--buckets", "4", "--offline"});
        installation_.start_daemon({{"KEYSHIFT_FAILPOINTS", "projection.backfill.chunk=sleep:300"}});
        ASSERT_TRUE(comes_true([&] {
            return installation_.connect()
                .query("SELECT bool_and(state = 'done') FROM keyshift.snapshot")
                .boolean(0, 0);
        }));
        writing_ = std::jthread([this](std::stop_token stop) { write(stop); });
    }

    void write(const std::stop_token& stop)
    {
        pg::Connection node = installation_.connect();
        for (int turn = 0; sleep_for(2ms, stop); ++turn) {
            node.query("UPDATE public.likes SET user_id = (user_id + 1) % 20, amount = amount + 1 WHERE like_id = $1",
                       {std::to_string(1 + turn * 7 % 600)});
        }
    }

    /// Number of rows: a row that changes its place meanwhile may be counted twice, or not.
    int expect_equal()
    {
        const auto verified = installation_.json({"projection", "verify", "by_user"});
        for (const char* fault : {"missing", "extra", "different", "rejected"}) {
            EXPECT_EQ(verified.at(fault), 0) << fault;
        }
        return verified.at("rows");
    }

    Installation installation_;
    std::jthread writing_;
};

TEST_F(SplitBelowProjection, ItIsBuiltAndComparedMeanwhileAndMissesNothing)
{
    installation_.must({"projection", "create", "by_user", "--key", "user_id", "--buckets", "4", "--apply", "--sql",
                        "SELECT user_id, post_id, like_id, amount FROM public.likes"});
    const auto split = installation_.json({"reshard", "split", "--all", "--group", "likes"});
    EXPECT_EQ(split.at("buckets"), 8);
    EXPECT_TRUE(comes_true([&] { return installation_.json({"projection", "list"}).at(0).at("state") == "live"; }, 60));
    expect_equal();
    {
        const std::jthread comparing([&](std::stop_token stop) {
            while (!stop.stop_requested()) {
                expect_equal();
            }
        });
        EXPECT_EQ(installation_.json({"reshard", "split", "--bucket", "1", "--group", "likes"}).at("buckets"), 9);
        installation_.must({"reshard", "isolate", "likes", "7"});
    }
    writing_.request_stop();
    writing_.join();
    EXPECT_EQ(expect_equal(), 600);
}

} // namespace
} // namespace keyshift::test
