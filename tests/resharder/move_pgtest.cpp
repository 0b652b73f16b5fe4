#include "tests/resharder/two_nodes.hpp"

#include "core/backoff.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <random>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using resharder::ReshardOptions;

ReshardOptions quick()
{
    ReshardOptions options;
    options.grace = 0ms;
    return options;
}

void load(TwoNodes& cluster, int users, int posts)
{
    pg::Connection n1 = cluster.connect("n1");
    n1.query("INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, " + std::to_string(users) + ") i");
    n1.query("INSERT INTO public.posts SELECT 1 + i % " + std::to_string(users) + ", i, repeat('x', i % 50) FROM generate_series(1, " +
             std::to_string(posts) + ") i");
}

std::string rows_of(TwoNodes& cluster, const std::string& node)
{
    return cluster.value(node, "SELECT (SELECT count(*) FROM public.users) || ' ' || (SELECT count(*) FROM public.posts)");
}

/// Writes to both tables from its own thread, follows KS001, and remembers what was acknowledged.
class Writer {
public:
    Writer(TwoNodes& cluster, int seed) : cluster_(cluster), random_(static_cast<unsigned>(seed)), base_(1'000'000 * seed)
    {
        thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
    }
    void stop()
    {
        thread_.request_stop();
        thread_.join();
    }
    const std::map<std::int64_t, std::string>& acknowledged() const { return acknowledged_; }
    int redirected() const { return redirected_; }
    const std::vector<std::string>& errors() const { return errors_; }

private:
    void run(std::stop_token stop)
    {
        connections_.emplace("n1", cluster_.connect("n1"));
        connections_.emplace("n2", cluster_.connect("n2"));
        while (sleep_for(1ms, stop)) {
            const std::int64_t user = base_ + static_cast<std::int64_t>(random_() % 200);
            const std::string text = "w" + std::to_string(++count_);
            const int what = static_cast<int>(random_() % 10);
            if (what == 0 && acknowledged_.contains(user)) {
                if (write(user, "DELETE FROM public.users WHERE user_id = $1 AND keyshift.must_own('public.users', $1::bigint) AND $2::text <> ''", text)) {
                    acknowledged_.erase(user);
                }
            } else if (write(user, "WITH u AS (INSERT INTO public.users (user_id, name) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET name = excluded.name "
                                   "RETURNING user_id) SELECT FROM u", text)) {
                acknowledged_[user] = text;
                write(user, "INSERT INTO public.posts (user_id, post_id, content) VALUES ($1, 1, $2) ON CONFLICT (user_id, post_id) DO UPDATE SET content = excluded.content", text);
            }
        }
    }

    /// On the node that says it owns the user; true once acknowledged.
    bool write(std::int64_t user, const std::string& sql, const std::string& text)
    {
        const std::string id = std::to_string(user);
        for (int tries = 0; tries < 2000; ++tries) {
            auto& connection = connections_.at(tried_);
            try {
                connection.query(sql, {id, text});
                return true;
            } catch (const pg::SqlError& error) {
                if (error.sqlstate() != "KS001") {
                    errors_.push_back(error.what());
                    return false;
                }
                ++redirected_;
                tried_ = tried_ == "n1" ? "n2" : "n1";
                sleep_for(1ms, std::stop_token());
            } catch (const Error& error) {
                errors_.push_back(error.what());
                return false;
            }
        }
        errors_.push_back("no node took the write");
        return false;
    }

    TwoNodes& cluster_;
    std::mt19937 random_;
    std::int64_t base_;
    std::map<std::string, pg::Connection> connections_;
    std::string tried_ = "n1";
    std::map<std::int64_t, std::string> acknowledged_;
    int count_ = 0;
    int redirected_ = 0;
    std::vector<std::string> errors_;
    std::jthread thread_;
};

TEST(Move, CarriesABucketGroupAndLeavesNothingBehind)
{
    TwoNodes cluster;
    load(cluster, 1000, 5000);
    const std::string second_before = cluster.fingerprint("n2");
    TwoNodes::Running running(cluster, quick());
    EXPECT_EQ(cluster.reshard({1, 2}, "n2"), "done");
    cluster.wait_until("n1", "SELECT count(*) = 2 FROM keyshift.move WHERE state = 'done'");
    EXPECT_EQ(cluster.leftovers("n1"), "");
    EXPECT_EQ(cluster.leftovers("n2"), "");
    EXPECT_EQ(cluster.value("n1", "SELECT bool_and(verified AND write_block_ms > 0 AND donor_hash = recipient_hash) FROM keyshift.move"), "t");
    EXPECT_EQ(cluster.value("n1", "SELECT (SELECT count(*) FROM public.users_b1) + (SELECT count(*) FROM public.users_b2) + (SELECT count(*) FROM public.posts_b1)"), "0");
    EXPECT_NE(cluster.value("n2", "SELECT count(*) FROM public.posts_b1"), "0");
    EXPECT_EQ(cluster.value("n1", "SELECT string_agg(bucket || '=' || node || '/' || epoch, ' ' ORDER BY bucket) FROM keyshift.bucket"),
              "0=n1/1 1=n2/2 2=n2/2 3=n1/1");
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM keyshift.bucket_history WHERE (epoch = 1 AND bucket IN (1, 2)) = (fence_lsn IS NOT NULL)"), "6");
}

TEST(Move, KeepsEveryAcknowledgedWriteExactlyOnceUnderConcurrentWriters)
{
    TwoNodes cluster;
    load(cluster, 500, 2000);
    TwoNodes::Running running(cluster, quick());
    Writer first(cluster, 1);
    Writer second(cluster, 2);
    EXPECT_EQ(cluster.reshard({0, 1, 2, 3}, "n2"), "done");
    EXPECT_EQ(cluster.reshard({0, 1}, "n1"), "done");
    first.stop();
    second.stop();
    for (Writer* writer : {&first, &second}) {
        EXPECT_THAT(writer->errors(), testing::IsEmpty());
        EXPECT_GT(writer->redirected(), 0);
        for (const auto& [user, text] : writer->acknowledged()) {
            const std::string id = std::to_string(user);
            std::string found;
            for (const char* node : {"n1", "n2"}) {
                found += cluster.value(node, "SELECT name FROM public.users u JOIN keyshift.local_bucket b ON b.bucket = keyshift.bucket_of('public.users', user_id::text) "
                                             "AND b.group_name = 'users' AND b.state = 'open' WHERE user_id = " + id);
            }
            ASSERT_EQ(found, text) << user;
        }
    }
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM keyshift.move WHERE verified AND state IN ('switched', 'settling', 'done')"), "6");
    EXPECT_EQ(cluster.value("n2", "SELECT count(*) FROM public.posts p WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.user_id = p.user_id)"), "0");
}

TEST(Move, TellsALateWriterTheNewAddress)
{
    TwoNodes cluster;
    load(cluster, 100, 0);
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
    load(cluster, 200, 800);
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
    load(cluster, 300, 1000);
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
                    testing::HasSubstr("\"pid\":" + std::to_string(state == "attached" ? holder.backend_pid() : reader.backend_pid())));
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
    load(cluster, 100, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users SET name = name");
    TwoNodes::Running running(cluster, quick());
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT fence_tries >= 2 FROM keyshift.move");
    EXPECT_THAT(cluster.value("n1", "SELECT waiting_for FROM keyshift.move"), testing::HasSubstr("pid " + std::to_string(holder.backend_pid())));
    holder.script("COMMIT");
    EXPECT_EQ(cluster.wait_job(job), "done");
}

TEST(Move, WaitsBeforeTheFenceWhileKafkaIsAway)
{
    TwoNodes cluster;
    load(cluster, 100, 100);
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
    load(cluster, 100, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users SET name = name");
    TwoNodes::Running running(cluster, quick());
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT state = 'attached' FROM keyshift.move");
    cluster.connect("n2").script("BEGIN; SET LOCAL session_replication_role = replica; ALTER TABLE public.users_b1 DISABLE TRIGGER keyshift_reject; "
                                 "UPDATE public.users_b1 SET name = 'other' WHERE user_id = (SELECT min(user_id) FROM public.users_b1); "
                                 "ALTER TABLE public.users_b1 ENABLE ALWAYS TRIGGER keyshift_reject; COMMIT");
    holder.script("ROLLBACK");
    EXPECT_EQ(cluster.wait_job(job), "failed");
    EXPECT_THAT(cluster.value("n1", "SELECT error->>'what' FROM keyshift.job"), testing::HasSubstr("bucket 1 of users"));
    EXPECT_EQ(cluster.value("n1", "SELECT node FROM keyshift.bucket WHERE bucket = 1"), "n1");
    EXPECT_EQ(rows_of(cluster, "n2"), "0 0");
}

TEST(Move, PausesAndResumes)
{
    TwoNodes cluster;
    load(cluster, 300, 1000);
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
    cluster.connect("n1").query("INSERT INTO keyshift.likes__g1 SELECT i % 100, i, 1, i, 0, true FROM generate_series(1, 2000) i");
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
