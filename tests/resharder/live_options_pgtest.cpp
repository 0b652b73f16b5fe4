/// Settings that take effect on moves that run.

#include "tests/resharder/two_nodes.hpp"

#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using resharder::ReshardOptions;

TEST(LiveOptions, AHigherRateSpeedsTheRunningCopyUpAndKeepsWhatItHas)
{
    TwoNodes cluster;
    cluster.load(2000, 20'000);
    ReshardOptions options = quick();
    options.max_copy_rate = 2000; // minutes
    TwoNodes::Running running(cluster, options);
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT state = 'copying' AND copy_snapshot IS NOT NULL AND bytes > 0 FROM keyshift.move");
    const std::string snapshot = cluster.value("n1", "SELECT copy_snapshot FROM keyshift.move");
    pg::Connection catalog = cluster.connect("n1");
    const auto move = resharder::status(catalog, job).at("moves").at(0);
    EXPECT_THAT(move.at("phase").get<std::string>(), testing::HasSubstr("copies rows"));
    EXPECT_FALSE(move.at("bytes_per_second").is_null());
    options.max_copy_rate = 0;
    running.change(options);
    EXPECT_EQ(cluster.wait_job(job), "done");
    EXPECT_EQ(cluster.value("n1", "SELECT copy_snapshot FROM keyshift.move"), snapshot) << "it was not begun again";
}

/// A copy that is paused in its middle, with nothing left that slows it down.
class PausedCopy : public testing::Test {
protected:
    static constexpr int kPosts = 100'000; // of a bucket some dozens of chunks

    PausedCopy()
    {
        cluster_.load(2000, kPosts);
        options_.max_copy_rate = 2000; // minutes
    }

    void pause(TwoNodes::Running& running)
    {
        job_ = cluster_.start({1}, "n2");
        cluster_.wait_until("n1",
                            "SELECT state = 'copying' AND copy_snapshot IS NOT NULL AND bytes > 0 FROM keyshift.move");
        snapshot_ = snapshot();
        resharder::pause(catalog_, job_);
        cluster_.wait_until("n1", "SELECT state = 'paused' FROM keyshift.job");
        options_.max_copy_rate = 0;
        running.change(options_);
    }

    int rows(const std::string& node) { return std::stoi(cluster_.value(node, "SELECT count(*) FROM public.posts")); }
    std::string snapshot() { return cluster_.value("n1", "SELECT copy_snapshot FROM keyshift.move"); }
    nlohmann::json move() { return resharder::status(catalog_, job_).at("moves").at(0); }

    TwoNodes cluster_;
    pg::Connection catalog_ = cluster_.connect("n1");
    ReshardOptions options_ = quick();
    std::int64_t job_ = 0;
    std::string snapshot_;
};

TEST_F(PausedCopy, GoesOnWhereItWas)
{
    TwoNodes::Running running(cluster_, options_);
    pause(running);
    cluster_.wait_until("n1", "SELECT waiting_for LIKE 'the job to be resumed%' FROM keyshift.move");
    const std::string later = cluster_.value("n1", "SELECT quote_literal(now() + interval '2 s')");
    cluster_.wait_until("n1", "SELECT now() > " + later);
    EXPECT_LT(move().at("bytes"), 1'000'000) << "at the new rate it would have all by now";
    EXPECT_THAT(move().at("phase").get<std::string>(), testing::HasSubstr("copies rows"));
    resharder::resume(catalog_, job_);
    EXPECT_EQ(cluster_.wait_job(job_), "done");
    EXPECT_EQ(snapshot(), snapshot_) << "it was not begun again";
    EXPECT_EQ(rows("n1") + rows("n2"), kPosts);
}

TEST_F(PausedCopy, IsBegunAgainAfterItsTime)
{
    options_.hold_paused = 100ms;
    TwoNodes::Running running(cluster_, options_);
    pause(running);
    cluster_.wait_until(
        "n1", "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'keyshift move %')");
    cluster_.connect("n1").query("UPDATE public.users SET name = 'later'"); // a snapshot that differs
    resharder::resume(catalog_, job_);
    EXPECT_EQ(cluster_.wait_job(job_), "done");
    EXPECT_NE(snapshot(), snapshot_);
}

TEST_F(PausedCopy, IsCancelled)
{
    TwoNodes::Running running(cluster_, options_);
    pause(running);
    resharder::cancel(catalog_, job_);
    EXPECT_EQ(cluster_.wait_job(job_), "cancelled");
    EXPECT_EQ(cluster_.leftovers("n2"), "");
}

TEST(LiveOptions, TheWriteBlockLimitCountsFromTheNextTry)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    ReshardOptions options = quick();
    options.write_block_limit = 1ms;
    TwoNodes::Running running(cluster, options);
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT fence_tries >= 2 FROM keyshift.move");
    options.write_block_limit = 2000ms;
    running.change(options);
    EXPECT_EQ(cluster.wait_job(job), "done");
}

TEST(LiveOptions, MoreMovesPerNodeBeginWhileAnotherRuns)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users_b1 SET name = name"); // holds the first fence off
    ReshardOptions options = quick();
    TwoNodes::Running running(cluster, options);
    const std::int64_t job = cluster.start({1, 2}, "n2");
    cluster.wait_until("n1", "SELECT fence_tries >= 2 FROM keyshift.move WHERE bucket = 1");
    EXPECT_EQ(cluster.value("n1", "SELECT state FROM keyshift.move WHERE bucket = 2"), "planned");
    options.max_moves_per_node = 2;
    running.change(options);
    cluster.wait_until("n1", "SELECT state = 'done' FROM keyshift.move WHERE bucket = 2");
    holder.script("COMMIT");
    EXPECT_EQ(cluster.wait_job(job), "done");
}

TEST(LiveOptions, NoMoreMovesAtATimeThanInAll)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users_b1 SET name = name; UPDATE public.users_b2 SET name = name");
    ReshardOptions options = quick();
    options.max_moves_per_node = 4;
    options.max_moves = 2;
    TwoNodes::Running running(cluster, options);
    const std::int64_t job = cluster.start({1, 2, 3}, "n2");
    cluster.wait_until("n1", "SELECT bool_and(fence_tries >= 2) FROM keyshift.move WHERE bucket < 3");
    EXPECT_EQ(cluster.value("n1", "SELECT state FROM keyshift.move WHERE bucket = 3"), "planned");
    options.max_moves = 0;
    running.change(options);
    cluster.wait_until("n1", "SELECT state = 'done' FROM keyshift.move WHERE bucket = 3");
    holder.script("COMMIT");
    EXPECT_EQ(cluster.wait_job(job), "done");
}

TEST(LiveOptions, MovesOfOneGroupBesideEachOtherAllSwitch)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    ReshardOptions options = quick();
    options.max_moves_per_node = 4;
    TwoNodes::Running running(cluster, options);
    EXPECT_EQ(cluster.wait_job(cluster.start({0, 1, 2, 3}, "n2")), "done");
    EXPECT_EQ(cluster.wait_job(cluster.start({0, 1, 2, 3}, "n1")), "done");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move"); // the frozen rows are gone
    EXPECT_EQ(cluster.value("n1", "SELECT string_agg(node, ' ' ORDER BY bucket) FROM keyshift.bucket"), "n1 n1 n1 n1");
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM public.users"), "50");
    EXPECT_EQ(cluster.value("n2", "SELECT count(*) FROM public.users"), "0");
}

TEST(StuckMove, StandsAsideAndTheOthersGoOn)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users_b1 SET name = name");
    ReshardOptions options = quick();
    options.step_aside = 200ms;
    TwoNodes::Running running(cluster, options);
    const std::int64_t job = cluster.start({1, 2, 3}, "n2");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move WHERE bucket IN (2, 3)");
    EXPECT_EQ(cluster.value("n1", "SELECT state FROM keyshift.job"), "running");
    holder.script("COMMIT");
    EXPECT_EQ(cluster.wait_job(job), "done");
}

TEST(StuckMove, OneThatFailsIsTakenBackNamedAndTheOthersAreMoved)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    cluster.connect("n2").script(
        ""
        "BEGIN; SET LOCAL session_replication_role = replica; ALTER TABLE public.users_b1 DISABLE TRIGGER keyshift_reject; "
        "INSERT INTO public.users_b1 (user_id, name) SELECT i, 'stray' FROM generate_series(1, 100) i "
        "WHERE satisfies_hash_partition('public.users'::regclass, 4, 1, i::bigint) LIMIT 1; "
        "ALTER TABLE public.users_b1 ENABLE ALWAYS TRIGGER keyshift_reject; COMMIT");
    TwoNodes::Running running(cluster, quick());
    const std::int64_t job = cluster.start({1, 2}, "n2");
    EXPECT_EQ(cluster.wait_job(job), "failed");
    EXPECT_EQ(cluster.value("n1", "SELECT string_agg(node, ' ' ORDER BY bucket) FROM keyshift.bucket"), "n1 n1 n2 n1");
    EXPECT_THAT(cluster.value("n1", "SELECT error ->> 'what' FROM keyshift.job"),
                testing::StartsWith("moving bucket 1 of users from n1 to n2: "));
    EXPECT_THAT(cluster.value("n1", "SELECT error ->> 'why' FROM keyshift.job"), testing::HasSubstr("holds rows"));
}

} // namespace
} // namespace keyshift::test
