#include "core/json.hpp"
#include "tests/resharder/two_nodes.hpp"
#include "tests/resharder/writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

std::string owners(TwoNodes& cluster)
{
    return cluster.value("n1", "SELECT string_agg(node || '/' || epoch, ' ' ORDER BY bucket) FROM keyshift.bucket");
}

std::string why(TwoNodes& cluster, std::int64_t job)
{
    pg::Connection catalog = cluster.connect("n1");
    try {
        resharder::rollback(catalog, job, false);
    } catch (const RefusedError& error) {
        return error.parts().why;
    }
    return "nothing was refused";
}

TEST(Rollback, TakesTheMovesOfASettlingJobBackUnderWrites)
{
    TwoNodes cluster;
    cluster.load(300, 1000);
    cluster.keep_slots();
    TwoNodes::Running running(cluster); // with its grace period
    Writer first(cluster.connector(), 1);
    Writer second(cluster.connector(), 2);
    const std::int64_t job = cluster.start({1, 2}, "n2");
    ASSERT_EQ(cluster.wait_job(job), "done");
    EXPECT_EQ(owners(cluster), "n1/1 n2/2 n2/2 n1/1");
    cluster.wait_until("n1", "SELECT bool_and(state = 'settling') FROM keyshift.move");
    pg::Connection catalog = cluster.connect("n1");
    const auto looked = resharder::rollback(catalog, job, true);
    EXPECT_EQ(looked.at("moves").size(), 2U);
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM keyshift.job"), "1");
    const auto begun = resharder::rollback(catalog, job, false);
    ASSERT_EQ(cluster.wait_job(begun.at("job")), "done");
    first.stop();
    second.stop();
    EXPECT_EQ(owners(cluster), "n1/1 n1/3 n1/3 n1/1");
    for (Writer* writer : {&first, &second}) {
        EXPECT_THAT(writer->errors(), testing::IsEmpty());
        EXPECT_EQ(writer->lost(), "");
    }
    EXPECT_EQ(resharder::status(catalog, begun.at("job")).at("takes_back"), job);
    EXPECT_EQ(resharder::list(catalog).at(1).at("takes_back"), job);
    EXPECT_EQ(cluster.value("n1", "SELECT bool_and(verified) FROM keyshift.move"), "t");
    EXPECT_EQ(
        cluster.value(
            "n1", "SELECT bool_and(copy_snapshot IS NULL AND rows = 0) FROM keyshift.move WHERE adopts IS NOT NULL"),
        "t")
        << "the copies on n1 were current";
    EXPECT_EQ(why(cluster, job), "bucket 1 of users has moved on since: job 2 brought it to node n1");
}

TEST(Rollback, IsRefusedWhenThereIsNothingToTakeBackOrAJobRuns)
{
    TwoNodes cluster;
    cluster.load(50, 100);
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users SET name = name"); // holds the fence off
    resharder::ReshardOptions options;
    options.grace = 0ms;
    TwoNodes::Running running(cluster, options);
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT state = 'attached' FROM keyshift.move");
    EXPECT_EQ(why(cluster, job), "job 1 is still running");
    pg::Connection catalog = cluster.connect("n1");
    resharder::cancel(catalog, job);
    ASSERT_EQ(cluster.wait_job(job), "cancelled");
    EXPECT_EQ(why(cluster, job), "it has moved no bucket");
    EXPECT_EQ(why(cluster, 99), "there is none");
    holder.script("COMMIT");
    const std::int64_t moved = cluster.start({1}, "n2");
    ASSERT_EQ(cluster.wait_job(moved), "done");
    cluster.wait_until("n1", "SELECT bool_and(state IN ('done', 'aborted')) FROM keyshift.move");
    resharder::drain(catalog, "n1", true);
    cluster.connect("n1").script("UPDATE keyshift.node SET state = 'draining' WHERE name = 'n1'");
    EXPECT_EQ(why(cluster, moved), "node n1, where its buckets came from, is being drained");
}

} // namespace
} // namespace keyshift::test
