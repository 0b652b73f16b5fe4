/// The donor's frozen copy follows the recipient while a move settles, and goes back to being the owner without a copy.

#include "core/json.hpp"
#include "tests/resharder/two_nodes.hpp"
#include "tests/resharder/writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kRows =
    "SELECT md5(coalesce((SELECT string_agg(u::text, ',' ORDER BY u.user_id) FROM public.users_b1 u), '') || "
    "coalesce((SELECT string_agg(p::text, ',' ORDER BY p.post_id) FROM public.posts_b1 p), ''))";
constexpr const char* kAdopted =
    "SELECT bool_and(copy_snapshot IS NULL AND rows = 0) FROM keyshift.move WHERE adopts IS NOT NULL";

/// All but epochs, which rise.
std::string shape(TwoNodes& cluster)
{
    static const std::regex epochs("(bucket|placement) [^\n]*\n");
    return std::regex_replace(cluster.fingerprint("n1") + cluster.fingerprint("n2"), epochs, "");
}

class KeptCopy : public testing::Test {
protected:
    KeptCopy()
    {
        cluster_.load(200, 600);
        cluster_.keep_slots();
    }

    /// Bucket 1 is on n2 and its move settles.
    std::int64_t move_away()
    {
        const std::int64_t job = cluster_.start({1}, "n2");
        EXPECT_EQ(cluster_.wait_job(job), "done");
        cluster_.wait_until("n1", "SELECT state = 'settling' FROM keyshift.move");
        return job;
    }

    void wait_until_current()
    {
        const std::string there = cluster_.value("n2", kRows);
        cluster_.wait_until("n1", "SELECT (" + std::string(kRows) + ") = '" + there + "'");
    }

    std::int64_t roll_back(std::int64_t job)
    {
        pg::Connection catalog = cluster_.connect("n1");
        return resharder::rollback(catalog, job, false).at("job");
    }

    void end_grace()
    {
        cluster_.connect("n1").query("UPDATE keyshift.move SET settle_until = now() WHERE state = 'settling'");
        cluster_.wait_until("n1", "SELECT bool_and(state IN ('done', 'aborted')) FROM keyshift.move");
    }

    TwoNodes cluster_;
};

TEST_F(KeptCopy, HasEveryKindOfChangeAndIsTheOwnersLeafAgain)
{
    const std::string before = shape(cluster_);
    const TwoNodes::Running running(cluster_);
    const std::int64_t job = move_away();
    cluster_.connect("n2").script(
        "INSERT INTO public.users SELECT i, 'new ' || i FROM generate_series(10000, 10400) i WHERE keyshift.bucket_of('public.users', i::text) = 1;"
        "UPDATE public.users_b1 SET name = 'later' WHERE user_id < 40;"
        "DELETE FROM public.posts_b1 WHERE post_id % 3 = 0;"
        "DELETE FROM public.users_b1 WHERE user_id BETWEEN 60 AND 90;");
    wait_until_current();
    cluster_.connect("n2").script(
        "TRUNCATE public.posts_b1; INSERT INTO public.posts SELECT user_id, 1, 'only' FROM public.users_b1");
    wait_until_current();
    const std::string rows = cluster_.value("n2", kRows);
    EXPECT_EQ(cluster_.value("n1", "SELECT state || epoch FROM keyshift.local_bucket WHERE bucket = 1"), "fenced1");
    ASSERT_EQ(cluster_.wait_job(roll_back(job)), "done");
    EXPECT_EQ(cluster_.value("n1", kRows), rows);
    EXPECT_EQ(cluster_.value("n1", kAdopted), "t");
    end_grace();
    EXPECT_EQ(shape(cluster_), before);
    EXPECT_EQ(cluster_.leftovers("n1") + cluster_.leftovers("n2"), "");
}

TEST_F(KeptCopy, GoesToAndFroUnderWritesWithoutCopyingAgain)
{
    const TwoNodes::Running running(cluster_);
    Writer writer(cluster_.connector(), 1);
    std::int64_t job = move_away();
    for (int times = 0; times < 3; ++times) {
        job = roll_back(job);
        ASSERT_EQ(cluster_.wait_job(job), "done");
        cluster_.wait_until("n1", "SELECT bool_and(state IN ('settling', 'done')) FROM keyshift.move");
    }
    writer.stop();
    EXPECT_THAT(writer.errors(), testing::IsEmpty());
    EXPECT_EQ(writer.lost(), "");
    EXPECT_EQ(cluster_.value("n1", "SELECT node || epoch FROM keyshift.bucket WHERE bucket = 1"), "n15");
    EXPECT_EQ(cluster_.value("n1", kAdopted), "t");
}

TEST_F(KeptCopy, IsTakenOverWithoutTheOwnersStreamGoingBack)
{
    const TwoNodes::Running running(cluster_);
    Writer writer(cluster_.connector(), 1);
    const std::int64_t job = move_away();
    const int before = cluster_.stream("n2").went_back();
    ASSERT_EQ(cluster_.wait_job(roll_back(job)), "done");
    writer.stop();
    EXPECT_EQ(writer.lost(), "");
    EXPECT_EQ(cluster_.value("n1", kAdopted), "t");
    EXPECT_EQ(cluster_.stream("n2").went_back(), before);
}

TEST_F(KeptCopy, IsClearedForGoodWhenTheGracePeriodEnds)
{
    const TwoNodes::Running running(cluster_);
    Writer writer(cluster_.connector(), 1);
    move_away();
    end_grace();
    writer.stop();
    EXPECT_EQ(writer.lost(), "");
    EXPECT_EQ(cluster_.value("n1", "SELECT count(*) FROM public.users_b1"), "0");
    EXPECT_EQ(cluster_.value("n1", "SELECT reverse_position IS NULL OR settle_until <= now() FROM keyshift.move"), "t");
    EXPECT_EQ(cluster_.leftovers("n1") + cluster_.leftovers("n2"), "");
}

TEST_F(KeptCopy, IsGivenUpWhenColumnsDifferAndGoingBackCopies)
{
    const TwoNodes::Running running(cluster_);
    const std::int64_t job = move_away();
    cluster_.connect("n2").script("UPDATE public.users_b1 SET name = 'before'");
    wait_until_current();
    for (const char* node : {"n2", "n1"}) {
        cluster_.connect(node).script("ALTER TABLE public.users ADD COLUMN city text");
        cluster_.connect("n2").script("UPDATE public.users_b1 SET city = 'Bern'");
    }
    cluster_.wait_until("n1", "SELECT reverse_position IS NULL FROM keyshift.move");
    const std::string rows = cluster_.value("n2", kRows);
    ASSERT_EQ(cluster_.wait_job(roll_back(job)), "done");
    EXPECT_EQ(cluster_.value("n1", kRows), rows);
    EXPECT_EQ(cluster_.value("n1", "SELECT count(*) FROM keyshift.move WHERE adopts IS NOT NULL"), "0");
}

TEST_F(KeptCopy, StaysWithItsMoveWhenARollbackIsCancelledBeforeItsTurn)
{
    std::int64_t job = 0;
    {
        const TwoNodes::Running running(cluster_);
        job = move_away();
    }
    const std::int64_t cancelled = roll_back(job);
    pg::Connection catalog = cluster_.connect("n1");
    resharder::cancel(catalog, cancelled);
    const TwoNodes::Running running(cluster_);
    EXPECT_EQ(cluster_.wait_job(cancelled), "cancelled");
    EXPECT_EQ(cluster_.value("n1",
                             "SELECT isfinite(settle_until) AND settle_until > now() AND reverse_position IS NOT NULL "
                             "FROM keyshift.move WHERE state = 'settling'"),
              "t");
    cluster_.connect("n2").script("UPDATE public.users_b1 SET name = 'still'");
    wait_until_current();
    ASSERT_EQ(cluster_.wait_job(roll_back(job)), "done");
    EXPECT_EQ(cluster_.value("n1", kAdopted), "t");
    EXPECT_EQ(cluster_.value("n1", "SELECT count(*) FROM public.users_b1 WHERE name <> 'still'"), "0");
}

TEST(KilledRollback, CopiesAgainWhereDdlHasEndedTheCopysUseBeforeTheNextDaemon)
{
    TwoNodes cluster;
    cluster.load(100, 300);
    auto killed = cluster.run_program("move.adopt.taken=kill@1", 600s);
    const std::int64_t job = cluster.start({1}, "n2");
    ASSERT_EQ(cluster.wait_job(job), "done");
    pg::Connection catalog = cluster.connect("n1");
    cluster.wait_until("n1", "SELECT state = 'settling' FROM keyshift.move");
    const std::int64_t back = resharder::rollback(catalog, job, false).at("job");
    EXPECT_EQ(killed->wait(30s), 128 + SIGKILL);
    catalog.query(
        "UPDATE keyshift.move SET reverse_position = NULL WHERE state = 'settling'"); // as `keyshift ddl` does
    const std::string rows = cluster.value("n2", kRows);
    auto next = cluster.run_program("", 600s);
    EXPECT_EQ(cluster.wait_job(back), "done");
    EXPECT_EQ(cluster.value("n1", "SELECT copy_snapshot IS NOT NULL FROM keyshift.move WHERE adopts IS NOT NULL"), "t");
    EXPECT_EQ(cluster.value("n1", kRows), rows);
}

class KilledRollbackAt : public testing::TestWithParam<std::string> {};

TEST_P(KilledRollbackAt, IsFinishedByTheNextDaemonWithoutACopyLossOrLeftovers)
{
    TwoNodes cluster;
    cluster.load(100, 300);
    Writer writer(cluster.connector(), 1);
    auto killed = cluster.run_program(GetParam(), 600s);
    const std::int64_t job = cluster.start({1}, "n2");
    ASSERT_EQ(cluster.wait_job(job), "done");
    pg::Connection catalog = cluster.connect("n1");
    cluster.wait_until("n1", "SELECT state = 'settling' FROM keyshift.move");
    const std::int64_t back = resharder::rollback(catalog, job, false).at("job");
    EXPECT_EQ(killed->wait(30s), 128 + SIGKILL);
    auto next = cluster.run_program("", 600s);
    EXPECT_EQ(cluster.wait_job(back), "done");
    writer.stop();
    EXPECT_THAT(writer.errors(), testing::IsEmpty());
    EXPECT_EQ(writer.lost(), "");
    EXPECT_EQ(cluster.value("n1", kAdopted), "t");
    EXPECT_EQ(cluster.value("n1", "SELECT node || epoch FROM keyshift.bucket WHERE bucket = 1"), "n13");
    catalog.query("UPDATE keyshift.move SET settle_until = now() WHERE state = 'settling'");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done' AND verified) FROM keyshift.move");
    EXPECT_EQ(cluster.leftovers("n1") + cluster.leftovers("n2"), "");
}

INSTANTIATE_TEST_SUITE_P(AtEachStep, KilledRollbackAt,
                         testing::Values("move.reverse.committing=kill@2", "move.reverse.committed=kill@2",
                                         "move.adopt.taken=kill@1", "move.attached.persisting=kill@2",
                                         "move.attached.committing=kill@2", "move.attached.persisted=kill@2",
                                         "move.fence.committed=kill@2"),
                         [](const auto& parameter) {
                             const std::string point = parameter.param.substr(5, parameter.param.find('=') - 5);
                             return point.substr(0, point.find('.')) + "_" + point.substr(point.find('.') + 1);
                         });

} // namespace
} // namespace keyshift::test
