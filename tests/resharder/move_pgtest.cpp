#include "tests/resharder/two_nodes.hpp"
#include "tests/resharder/writer.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <stop_token>
#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using resharder::ReshardOptions;

std::string rows_of(TwoNodes& cluster, const std::string& node)
{
    return cluster.value(node,
                         "SELECT (SELECT count(*) FROM public.users) || ' ' || (SELECT count(*) FROM public.posts)");
}

TEST(Move, CarriesABucketGroupAndLeavesNothingBehind)
{
    TwoNodes cluster;
    cluster.load(1000, 5000);
    const std::string second_before = cluster.fingerprint("n2");
    TwoNodes::Running running(cluster, quick());
    EXPECT_EQ(cluster.reshard({1, 2}, "n2"), "done");
    cluster.wait_until("n1", "SELECT count(*) = 2 FROM keyshift.move WHERE state = 'done'");
    EXPECT_EQ(cluster.leftovers("n1"), "");
    EXPECT_EQ(cluster.leftovers("n2"), "");
    EXPECT_EQ(
        cluster.value(
            "n1",
            "SELECT bool_and(verified AND write_block_ms > 0 AND donor_hash = recipient_hash) FROM keyshift.move"),
        "t");
    EXPECT_EQ(
        cluster.value(
            "n1",
            "SELECT (SELECT count(*) FROM public.users_b1) + (SELECT count(*) FROM public.users_b2) + (SELECT count(*) FROM public.posts_b1)"),
        "0");
    EXPECT_NE(cluster.value("n2", "SELECT count(*) FROM public.posts_b1"), "0");
    EXPECT_EQ(
        cluster.value(
            "n1", "SELECT string_agg(bucket || '=' || node || '/' || epoch, ' ' ORDER BY bucket) FROM keyshift.bucket"),
        "0=n1/1 1=n2/2 2=n2/2 3=n1/1");
    EXPECT_EQ(
        cluster.value(
            "n1",
            "SELECT count(*) FROM keyshift.bucket_history WHERE (epoch = 1 AND bucket IN (1, 2)) = (fence_lsn IS NOT NULL)"),
        "6");
}

TEST(Move, KeepsEveryAcknowledgedWriteExactlyOnceUnderConcurrentWriters)
{
    TwoNodes cluster;
    cluster.load(500, 2000);
    TwoNodes::Running running(cluster, quick());
    Writer first(cluster.connector(), 1);
    Writer second(cluster.connector(), 2);
    EXPECT_EQ(cluster.reshard({0, 1, 2, 3}, "n2"), "done");
    EXPECT_EQ(cluster.reshard({0, 1}, "n1"), "done");
    first.stop();
    second.stop();
    for (Writer* writer : {&first, &second}) {
        EXPECT_THAT(writer->errors(), testing::IsEmpty());
        EXPECT_GT(writer->redirected(), 0);
        EXPECT_EQ(writer->lost(), "");
    }
    EXPECT_EQ(
        cluster.value(
            "n1", "SELECT count(*) FROM keyshift.move WHERE verified AND state IN ('switched', 'settling', 'done')"),
        "6");
    EXPECT_EQ(
        cluster.value(
            "n2",
            "SELECT count(*) FROM public.posts p WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.user_id = p.user_id)"),
        "0");
}

/// Writes rows of one bucket where it takes it to be, and goes where it is sent. How often one write was refused, at most.
int most_refusals(TwoNodes& cluster, std::string node, const std::string& key, const std::stop_token& stop)
{
    std::map<std::string, pg::Connection> nodes;
    nodes.emplace("n1", cluster.connect("n1"));
    nodes.emplace("n2", cluster.connect("n2"));
    int most = 0;
    while (sleep_for(1ms, stop)) {
        for (int refusals = 0;;) {
            try {
                nodes.at(node).query("UPDATE public.users SET name = 'again' WHERE user_id = $1 "
                                     "AND keyshift.must_own('public.users', $1::bigint)",
                                     {key});
                break;
            } catch (const pg::SqlError& error) {
                EXPECT_EQ(error.sqlstate(), "KS001") << error.what();
                node = node == "n1" ? "n2" : "n1";
                most = std::max(most, ++refusals);
            }
        }
    }
    return most;
}

TEST(Move, RefusesAWriterOnceAndThenHoldsHimUntilTheRecipientIsOpen)
{
    TwoNodes cluster;
    cluster.load(100, 0);
    const std::string key = cluster.value(
        "n1", "SELECT min(user_id) FROM public.users WHERE keyshift.bucket_of('public.users', user_id::text) = 0");
    TwoNodes::Running running(cluster, quick());
    int most = 0;
    std::jthread writer([&](std::stop_token stop) { most = most_refusals(cluster, "n1", key, stop); });
    for (const char* node : {"n2", "n1", "n2", "n1"}) {
        EXPECT_EQ(cluster.reshard({0}, node), "done");
    }
    writer.request_stop();
    writer.join();
    EXPECT_EQ(most, 1);
}

TEST(Move, TellsALateWriterTheNewAddress)
{
    TwoNodes cluster;
    cluster.load(100, 0);
    TwoNodes::Running running(cluster);
    ASSERT_EQ(cluster.reshard({0, 1, 2, 3}, "n2"), "done");
    pg::Connection n1 = cluster.connect("n1");
    try {
        n1.query("UPDATE public.users SET name = 'late' WHERE user_id = 7");
        FAIL() << "the write passed the fence";
    } catch (const pg::SqlError& error) {
        EXPECT_EQ(error.sqlstate(), "KS001");
        EXPECT_THAT(error.what(), testing::HasSubstr("moved to node n2 (epoch 2)"));
    }
}

TEST(Move, GoesThereAndBack)
{
    TwoNodes cluster;
    cluster.load(200, 800);
    const std::string before = rows_of(cluster, "n1");
    TwoNodes::Running running(cluster, quick());
    ASSERT_EQ(cluster.reshard({0, 1, 2, 3}, "n2"), "done");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move");
    EXPECT_EQ(rows_of(cluster, "n1"), "0 0");
    EXPECT_EQ(rows_of(cluster, "n2"), before);
    ASSERT_EQ(cluster.reshard({0, 1, 2, 3}, "n1"), "done");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move");
    EXPECT_EQ(rows_of(cluster, "n1"), before);
    EXPECT_EQ(rows_of(cluster, "n2"), "0 0");
    EXPECT_EQ(cluster.leftovers("n1") + cluster.leftovers("n2"), "");
}

class CancelledMove : public testing::TestWithParam<std::string> {};

TEST_P(CancelledMove, LeavesTheExactPriorPlacement)
{
    TwoNodes cluster;
    cluster.load(300, 1000);
    const std::string before = cluster.fingerprint("n1") + cluster.fingerprint("n2");
    const std::string state = GetParam();
    pg::Connection holder = cluster.connect("n1");
    pg::Connection reader = cluster.connect("n2");
    ReshardOptions options = quick();
    if (state == "copying") {
        options.max_copy_rate = 1000;
    } else if (state == "catching_up") {
        reader.script("BEGIN; SELECT count(*) FROM public.users"); // holds the swap off
    } else {
        holder.script("BEGIN; UPDATE public.users SET name = name"); // holds the fence off
    }
    TwoNodes::Running running(cluster, options);
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT state = '" + state + "' FROM keyshift.move");
    pg::Connection catalog = cluster.connect("n1");
    if (state != "copying") {
        cluster.wait_until("n1", "SELECT waiting_for IS NOT NULL FROM keyshift.move");
        EXPECT_THAT(resharder::explain(catalog, job).dump(),
                    testing::HasSubstr("\"pid\":" + std::to_string(state == "attached" ? holder.backend_pid()
                                                                                       : reader.backend_pid())));
    }
    resharder::cancel(catalog, job);
    EXPECT_EQ(cluster.wait_job(job), "cancelled");
    EXPECT_EQ(cluster.fingerprint("n1") + cluster.fingerprint("n2"), before);
    EXPECT_EQ(cluster.leftovers("n1") + cluster.leftovers("n2"), "");
}

INSTANTIATE_TEST_SUITE_P(InEachState, CancelledMove, testing::Values("copying", "catching_up", "attached"),
                         [](const auto& parameter) { return parameter.param; });

TEST(Move, BacksOutOfABlockedFenceAndTriesAgain)
{
    TwoNodes cluster;
    cluster.load(100, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users SET name = name");
    TwoNodes::Running running(cluster, quick());
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT fence_tries >= 2 FROM keyshift.move");
    EXPECT_THAT(cluster.value("n1", "SELECT waiting_for FROM keyshift.move"),
                testing::HasSubstr("pid " + std::to_string(holder.backend_pid())));
    holder.script("COMMIT");
    EXPECT_EQ(cluster.wait_job(job), "done");
}

TEST(Move, WaitsBeforeTheFenceWhileKafkaIsAway)
{
    TwoNodes cluster;
    cluster.load(100, 100);
    cluster.stream("n1").set_healthy(false);
    TwoNodes::Running running(cluster, quick());
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT fence_tries >= 2 AND waiting_for LIKE '%not healthy%' FROM keyshift.move");
    cluster.connect("n1").query("UPDATE public.users SET name = 'written meanwhile'");
    cluster.stream("n1").set_healthy(true);
    EXPECT_EQ(cluster.wait_job(job), "done");
    EXPECT_EQ(cluster.value("n2", "SELECT bool_and(name = 'written meanwhile') FROM public.users"), "t");
}

TEST(Move, NeverSwitchesWhenTheCopyDiffers)
{
    TwoNodes cluster;
    cluster.load(100, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users SET name = name");
    TwoNodes::Running running(cluster, quick());
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT state = 'attached' FROM keyshift.move");
    cluster.administrator("n2").script(
        "BEGIN; SET LOCAL session_replication_role = replica; ALTER TABLE public.users_b1 DISABLE TRIGGER keyshift_reject; "
        "UPDATE public.users_b1 SET name = 'other' WHERE user_id = (SELECT min(user_id) FROM public.users_b1); "
        "ALTER TABLE public.users_b1 ENABLE ALWAYS TRIGGER keyshift_reject; COMMIT");
    holder.script("ROLLBACK");
    EXPECT_EQ(cluster.wait_job(job), "failed");
    EXPECT_THAT(cluster.value("n1", "SELECT error->>'what' FROM keyshift.job"),
                testing::HasSubstr("bucket 1 of users"));
    EXPECT_EQ(cluster.value("n1", "SELECT node FROM keyshift.bucket WHERE bucket = 1"), "n1");
    EXPECT_EQ(rows_of(cluster, "n2"), "0 0");
}

TEST(Move, ComparesALargeBucketAheadAndTheRowsTouchedSinceUnderTheLock)
{
    TwoNodes cluster;
    cluster.load(1000, 500'000);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users SET name = name WHERE user_id = 5");
    TwoNodes::Running running(cluster, quick());
    Writer writer(cluster.connector(), 1);
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT fence_tries >= 2 FROM keyshift.move");
    cluster.connect("n1").script(
        "UPDATE public.posts_b1 SET content = 'changed' WHERE post_id <= 4000; DELETE FROM public.posts_b1 WHERE post_id BETWEEN 5000 AND 5400; "
        "UPDATE public.posts_b1 SET post_id = -post_id WHERE post_id BETWEEN 6000 AND 6200");
    const std::string left = cluster.value("n1", "SELECT count(*) FROM public.posts_b1 WHERE user_id <= 1000");
    holder.script("COMMIT");
    EXPECT_EQ(cluster.wait_job(job), "done");
    writer.stop();
    EXPECT_THAT(writer.errors(), testing::IsEmpty());
    EXPECT_EQ(writer.lost(), "");
    EXPECT_EQ(cluster.value("n1", "SELECT bool_and(verified AND donor_hash = recipient_hash) FROM keyshift.move"), "t");
    EXPECT_EQ(cluster.value("n2", "SELECT count(*) FROM public.posts WHERE user_id <= 1000"), left);
}

TEST(Move, FindsADifferenceInALargeBucketThatIsSummedAhead)
{
    TwoNodes cluster;
    cluster.load(1000, 500'000);
    auto program = cluster.run_program("move.attached.persisted=sleep:2000");
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT state = 'attached' FROM keyshift.move");
    cluster.administrator("n2").script(
        "BEGIN; SET LOCAL session_replication_role = replica; ALTER TABLE public.posts_b1 DISABLE TRIGGER keyshift_reject; "
        "DELETE FROM public.posts_b1 WHERE post_id = (SELECT min(post_id) FROM public.posts_b1); "
        "ALTER TABLE public.posts_b1 ENABLE ALWAYS TRIGGER keyshift_reject; COMMIT");
    EXPECT_EQ(cluster.wait_job(job), "failed");
    EXPECT_THAT(program->output(), testing::HasSubstr("they are taken once more"));
    EXPECT_EQ(cluster.value("n1", "SELECT node FROM keyshift.bucket WHERE bucket = 1"), "n1");
    EXPECT_EQ(rows_of(cluster, "n2"), "0 0");
}

TEST(Move, PausesAndResumes)
{
    TwoNodes cluster;
    cluster.load(300, 1000);
    pg::Connection catalog = cluster.connect("n1");
    std::int64_t job = 0;
    {
        ReshardOptions slow = quick();
        slow.max_copy_rate = 1000;
        TwoNodes::Running running(cluster, slow);
        job = cluster.start({1}, "n2");
        cluster.wait_until("n1", "SELECT state = 'copying' FROM keyshift.move");
        resharder::pause(catalog, job);
        cluster.wait_until("n1", "SELECT state = 'paused' FROM keyshift.job");
    }
    TwoNodes::Running running(cluster, quick());
    resharder::resume(catalog, job);
    EXPECT_EQ(cluster.wait_job(job), "done");
}

TEST(Move, CarriesAProjectionsBucketUnderItsRowLock)
{
    TwoNodes cluster(true);
    cluster.connect("n1").query(
        "INSERT INTO keyshift.likes__g1 SELECT i % 100, i, 1, i, 0, true FROM generate_series(1, 2000) i");
    TwoNodes::Running running(cluster, quick());
    EXPECT_EQ(cluster.reshard({0, 1, 2, 3}, "n2"), "done");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move");
    EXPECT_EQ(cluster.value("n2", "SELECT count(*) FROM keyshift.likes__g1"), "2000");
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM keyshift.likes__g1"), "0");
    EXPECT_EQ(cluster.leftovers("n1") + cluster.leftovers("n2"), "");
}

TEST(Start, RefusesASecondJobAndAStalePlan)
{
    TwoNodes cluster;
    pg::Connection catalog = cluster.connect("n1");
    EXPECT_THROW(resharder::start(catalog, {}, "0123456789abcdef"), RefusedError);
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM keyshift.job"), "0");
    EXPECT_GT(resharder::start(catalog, {}, std::nullopt), 0);
    EXPECT_THROW(resharder::start(catalog, {}, std::nullopt), RefusedError);
}

} // namespace
} // namespace keyshift::test
