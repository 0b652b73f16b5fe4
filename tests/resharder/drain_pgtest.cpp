#include "tests/resharder/two_nodes.hpp"
#include "tests/resharder/writer.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

std::string state_of(TwoNodes& cluster, const std::string& node)
{
    return cluster.value("n1", "SELECT state FROM keyshift.node WHERE name = '" + node + "'");
}

std::string why(const std::function<void()>& refused)
{
    try {
        refused();
    } catch (const RefusedError& error) {
        return error.parts().why;
    }
    return "nothing was refused";
}

TEST(Drain, MovesEverythingAwayUnderWritesAndTheNodeTakesNothingAfterwards)
{
    TwoNodes cluster;
    cluster.load(200, 800);
    TwoNodes::Running running(cluster, quick());
    Writer writer(cluster.connector(), 1);
    pg::Connection catalog = cluster.connect("n1");
    const auto drained = resharder::drain(catalog, "n1", false);
    EXPECT_EQ(drained.at("moves").size(), 4U);
    EXPECT_EQ(state_of(cluster, "n1"), "draining");
    ASSERT_EQ(cluster.wait_job(drained.at("job")), "done");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move");
    writer.stop();
    EXPECT_THAT(writer.errors(), testing::IsEmpty());
    EXPECT_EQ(writer.lost(), "");
    EXPECT_EQ(catalog::list_nodes(catalog).at(0).at("state"), "draining");
    EXPECT_EQ(catalog::list_nodes(catalog).at(0).at("buckets"), 0);
    EXPECT_TRUE(resharder::plan(catalog, {}).at("moves").empty()) << "n2 keeps all while n1 is draining";
    resharder::PlanWish wish;
    wish.to = {"n1"};
    EXPECT_THAT(why([&] { resharder::plan(catalog, wish); }), testing::HasSubstr("it is being drained"));
    resharder::undo_drain(catalog, "n1", false);
    EXPECT_EQ(state_of(cluster, "n1"), "active");
    EXPECT_EQ(resharder::plan(catalog, {}).at("moves").size(), 2U);
}

TEST(Drain, ADryRunChangesNothingAndAnUnfinishedJobRefusesIt)
{
    TwoNodes cluster;
    pg::Connection catalog = cluster.connect("n1");
    const auto planned = resharder::drain(catalog, "n1", true);
    EXPECT_EQ(planned.at("moves").size(), 4U);
    EXPECT_EQ(planned.at("moves").at(0).at("why"), "node n1 is drained");
    EXPECT_EQ(state_of(cluster, "n1"), "active");
    const std::int64_t job = cluster.start({1}, "n2");
    EXPECT_THAT(why([&] { resharder::drain(catalog, "n1", false); }),
                "job " + std::to_string(job) + " is still running");
    EXPECT_EQ(state_of(cluster, "n1"), "active");
    EXPECT_THAT(why([&] { resharder::undo_drain(catalog, "n1", false); }),
                testing::HasSubstr("it is not being drained"));
}

TEST(Drain, ANodeThatOwnsNothingIsDrainingAtOnceAndTheLastOneIsNever)
{
    TwoNodes cluster;
    pg::Connection catalog = cluster.connect("n1");
    const auto drained = resharder::drain(catalog, "n2", false);
    EXPECT_TRUE(drained.at("job").is_null());
    EXPECT_EQ(state_of(cluster, "n2"), "draining");
    EXPECT_THAT(why([&] { resharder::drain(catalog, "n1", false); }),
                testing::HasSubstr("no other node could take its buckets"));
    EXPECT_EQ(state_of(cluster, "n1"), "active");
}

TEST(Drain, WhatAnInterruptedDrainLeftGoesAwayWithTheNextOne)
{
    TwoNodes cluster;
    cluster.load(100, 200);
    pg::Connection catalog = cluster.connect("n1");
    pg::Connection holder = cluster.connect("n1");
    holder.script("BEGIN; UPDATE public.users_b3 SET name = name"); // holds the last fence off
    TwoNodes::Running running(cluster, quick());
    const std::int64_t job = resharder::drain(catalog, "n1", false).at("job");
    cluster.wait_until("n1", "SELECT count(*) = 3 FROM keyshift.bucket WHERE node = 'n2'");
    EXPECT_THAT(why([&] { resharder::undo_drain(catalog, "n1", false); }),
                testing::HasSubstr("is moving its buckets away"));
    resharder::cancel(catalog, job);
    EXPECT_EQ(cluster.wait_job(job), "cancelled");
    EXPECT_EQ(state_of(cluster, "n1"), "draining");
    holder.script("COMMIT");
    const std::int64_t next = resharder::drain(catalog, "n1", false).at("job");
    EXPECT_EQ(cluster.wait_job(next), "done");
    EXPECT_EQ(cluster.value("n1", "SELECT string_agg(DISTINCT node, ' ') FROM keyshift.bucket"), "n2");
}

TEST(Drain, TakesAProjectionsBucketsToo)
{
    TwoNodes cluster(true);
    cluster.connect("n1").query(
        "INSERT INTO keyshift.likes__g1 SELECT i % 100, i, 1, i, 0, true FROM generate_series(1, 500) i");
    TwoNodes::Running running(cluster, quick());
    pg::Connection catalog = cluster.connect("n1");
    EXPECT_EQ(cluster.wait_job(resharder::drain(catalog, "n1", false).at("job")), "done");
    EXPECT_EQ(cluster.value("n2", "SELECT count(*) FROM keyshift.likes__g1"), "500");
    EXPECT_EQ(cluster.value("n1", "SELECT string_agg(DISTINCT node, ' ') FROM keyshift.bucket"), "n2");
}

} // namespace
} // namespace keyshift::test
