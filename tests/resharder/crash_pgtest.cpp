/// The daemon is killed at each persisted step and around each commit; a new one finishes the move (INV-MOV-1, INV-MOV-2).

#include "core/json.hpp"
#include "tests/resharder/two_nodes.hpp"
#include "tests/resharder/writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

class KilledMove : public testing::TestWithParam<std::string> {};

std::string label(const testing::TestParamInfo<std::string>& parameter)
{
    std::string text = parameter.param;
    std::replace(text.begin(), text.end(), '.', '_');
    return text;
}

TEST_P(KilledMove, IsFinishedByTheNextDaemonWithoutLossOrLeftovers)
{
    TwoNodes cluster;
    cluster.load(100, 300);
    Writer writer(cluster.connector(), 1);
    const std::int64_t job = cluster.start({0, 1}, "n2");
    auto killed = cluster.run_program(GetParam() + "=kill@1");
    EXPECT_EQ(killed->wait(30s), 128 + SIGKILL);
    EXPECT_THAT(killed->output(), testing::HasSubstr("failpoint " + GetParam() + " fired"));
    auto next = cluster.run_program("");
    EXPECT_EQ(cluster.wait_job(job), "done");
    writer.stop();
    EXPECT_THAT(writer.errors(), testing::IsEmpty());
    EXPECT_EQ(writer.lost(), "");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done' AND verified) FROM keyshift.move");
    EXPECT_EQ(cluster.leftovers("n1") + cluster.leftovers("n2"), "");
    EXPECT_EQ(cluster.value("n1", "SELECT string_agg(node, ' ' ORDER BY bucket) FROM keyshift.bucket"), "n2 n2 n1 n1");
    EXPECT_EQ(cluster.value("n1", "SELECT string_agg(state, ' ' ORDER BY bucket) FROM keyshift.local_bucket"),
              "closed closed open open");
    EXPECT_EQ(cluster.value("n2", "SELECT string_agg(state, ' ' ORDER BY bucket) FROM keyshift.local_bucket"),
              "open open closed closed");
}

INSTANTIATE_TEST_SUITE_P(AtEachStep, KilledMove,
                         testing::Values("move.copying.persisting", "move.copying.persisted",
                                         "move.indexing.persisting", "move.indexing.persisted", "move.index.building",
                                         "move.catching_up.persisting", "move.catching_up.persisted",
                                         "move.apply.committing", "move.apply.committed", "move.attach.swapped",
                                         "move.attached.persisting", "move.attached.persisted", "move.fence.committing",
                                         "move.fence.committed", "move.fenced.persisting", "move.fenced.persisted",
                                         "move.open.committing", "move.open.committed", "move.switched.persisting",
                                         "move.switched.persisted", "move.settling.persisting",
                                         "move.settling.persisted", "move.settle.deleted", "move.done.persisting",
                                         "move.done.persisted"),
                         label);

/// Not the whole limit, which is a second; and how long it held writers up is told.
TEST(FenceTry, TheFirstOneGivesUpSoonerThanTheLimit)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    const std::int64_t job = cluster.start({1}, "n2");
    auto slow = cluster.run_program("move.fence.committing=sleep:800@1");
    EXPECT_EQ(cluster.wait_job(job), "done");
    EXPECT_THAT(slow->output(), testing::HasSubstr("failpoint move.fence.committing fired"));
    EXPECT_EQ(cluster.value("n1", "SELECT fence_tries > 0 AND write_block_ms >= 800 FROM keyshift.move"), "t");
}

class KilledCancel : public testing::TestWithParam<std::string> {};

TEST_P(KilledCancel, StillLeavesTheExactPriorPlacement)
{
    TwoNodes cluster;
    cluster.load(100, 300);
    const std::string before = cluster.fingerprint("n1") + cluster.fingerprint("n2");
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users SET name = name"); // holds the fence off
    const std::int64_t job = cluster.start({1}, "n2");
    auto killed = cluster.run_program(GetParam() + "=kill@1");
    cluster.wait_until("n1", "SELECT state = 'attached' FROM keyshift.move");
    pg::Connection catalog = cluster.connect("n1");
    resharder::cancel(catalog, job);
    EXPECT_EQ(killed->wait(30s), 128 + SIGKILL);
    auto next = cluster.run_program("");
    EXPECT_EQ(cluster.wait_job(job), "cancelled");
    EXPECT_EQ(cluster.fingerprint("n1") + cluster.fingerprint("n2"), before);
    EXPECT_EQ(cluster.leftovers("n1") + cluster.leftovers("n2"), "");
}

INSTANTIATE_TEST_SUITE_P(AtEachStep, KilledCancel,
                         testing::Values("move.aborting.persisting", "move.aborting.persisted",
                                         "move.take_back.restored", "move.aborted.persisting",
                                         "move.aborted.persisted"),
                         label);

/// A projection's bucket begins again with a new copy, from wherever it was before its fence.
class KilledProjectionMove : public testing::TestWithParam<std::string> {};

TEST_P(KilledProjectionMove, IsFinishedByTheNextDaemonWithEveryRowOnce)
{
    TwoNodes cluster(true);
    cluster.connect("n1").query(
        "INSERT INTO keyshift.likes__g1 SELECT i % 100, i, 1, i, 0, true FROM generate_series(1, 500) i");
    const std::string there = cluster.value("n1", "SELECT count(*) FROM keyshift.likes__g1_b1");
    const std::int64_t job = cluster.start({1}, "n2");
    auto killed = cluster.run_program(GetParam() + "=kill@1");
    EXPECT_EQ(killed->wait(30s), 128 + SIGKILL);
    EXPECT_THAT(killed->output(), testing::HasSubstr("failpoint " + GetParam() + " fired"));
    auto next = cluster.run_program("");
    EXPECT_EQ(cluster.wait_job(job), "done");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done' AND verified) FROM keyshift.move");
    EXPECT_EQ(cluster.value("n2", "SELECT count(*) FROM keyshift.likes__g1_b1"), there);
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM keyshift.likes__g1_b1"), "0");
    EXPECT_EQ(cluster.value("n1", "SELECT state FROM keyshift.local_bucket WHERE bucket = 1"), "closed");
    EXPECT_EQ(cluster.value("n2", "SELECT state FROM keyshift.local_bucket WHERE bucket = 1"), "open");
    EXPECT_EQ(cluster.leftovers("n1") + cluster.leftovers("n2"), "");
}

INSTANTIATE_TEST_SUITE_P(AtEachStep, KilledProjectionMove,
                         testing::Values("move.copying.persisted", "move.indexing.persisting",
                                         "move.indexing.persisted", "move.catching_up.persisted", "move.attach.swapped",
                                         "move.attached.persisted", "move.fence.committing", "move.fence.committed",
                                         "move.fenced.persisted", "move.open.committed", "move.done.persisting"),
                         label);

} // namespace
} // namespace keyshift::test
