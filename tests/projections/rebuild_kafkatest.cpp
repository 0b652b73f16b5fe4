/// A new generation beside the old one, with everything real.

#include "tests/projections/projected_cluster.hpp"

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const char* const kByUser = "SELECT user_id, like_id, amount, content FROM likes";
const char* const kServes = "SELECT count(*) = 1 AND min(generation) = 2 AND bool_and(serving) AND min(state) = 'live' "
                            "FROM keyshift.projection WHERE name = 'by_user'";

std::jthread writer(const ProjectedCluster& cluster)
{
    return std::jthread([connection = cluster.connect(0)](std::stop_token stop) mutable {
        for (int turn = 0; sleep_for(20ms, stop); ++turn) { // a steady load, not all of the machine
            const std::string n = std::to_string(turn);
            connection.script("UPDATE public.likes SET content = 'turn " + n + "' WHERE like_id = 1 + " + n +
                              " % 400; UPDATE public.likes SET user_id = (user_id + 1) % 20 WHERE like_id = 1 + " + n +
                              " * 7 % 400");
        }
    });
}

TEST(ProjectionRebuild, ReplacesTheOldGenerationUnderWritesAndReadersNeverMissARow)
{
    ProjectedCluster cluster;
    cluster.connect(0).script(
        "INSERT INTO public.likes SELECT i % 50, i, i, 1, 'at rest' FROM generate_series(2001, 2100) i");
    cluster.create_and_wait("by_user", "user_id", kByUser);
    cluster.connect(0).script("GRANT SELECT ON public.by_user TO pg_monitor");
    std::atomic<int> missed = 0;
    {
        const std::jthread writing = writer(cluster);
        const std::jthread reading([&](std::stop_token stop) {
            while (sleep_for(20ms, stop)) {
                const auto counts = cluster.rows("SELECT count(*) FROM public.by_user WHERE like_id > 2000");
                missed += std::stoi(counts[0]) + std::stoi(counts[1]) == 100 ? 0 : 1;
            }
        });
        EXPECT_EQ(projections::rebuild(cluster.catalog(), "by_user", false).at("generation"), 2);
        EXPECT_THROW(projections::rebuild(cluster.catalog(), "by_user", false), RefusedError) << "one at a time";
        ASSERT_TRUE(cluster.wait_until(kServes));
    }
    EXPECT_EQ(missed, 0);
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_EQ(projections::show(cluster.catalog(), "by_user").at("generation"), 2);
    for (const std::size_t node : {0U, 1U}) {
        pg::Connection connection = cluster.connect(node);
        EXPECT_EQ(one(connection, "SELECT count(*) FROM pg_class WHERE relname LIKE 'by\\_user\\_\\_g1%'"), "0");
        EXPECT_EQ(one(connection, "SELECT count(*) FROM keyshift.projection_progress WHERE generation = 1"), "0");
        EXPECT_EQ(
            one(connection, "SELECT root::text FROM keyshift.local_table WHERE alias = 'public.by_user'::regclass"),
            "keyshift.by_user__g2");
    }
    pg::Connection node = cluster.connect(0);
    EXPECT_EQ(one(node, "SELECT has_table_privilege('pg_monitor', 'public.by_user', 'SELECT')"), "t") << "grants stay";
    node.script("SELECT keyshift.wait_for('public.by_user', keyshift.token(), '60 s')");
}

TEST(ProjectionRebuild, DropTakesAllGenerations)
{
    ProjectedCluster cluster;
    const std::string before[] = {cluster.traces(0), cluster.traces(1)};
    cluster.create_and_wait("by_user", "user_id", kByUser);
    projections::rebuild(cluster.catalog(), "by_user", false);
    ASSERT_TRUE(cluster.wait_until(kServes));
    projections::rebuild(cluster.catalog(), "by_user", false); // and one that is under way goes with the drop
    projections::drop(cluster.catalog(), "by_user");
    EXPECT_EQ(cluster.traces(0), before[0]);
    EXPECT_EQ(cluster.traces(1), before[1]);
    for (const char* table : {"projection", "rejection", "captured_table WHERE table_name LIKE 'by_user%'"}) {
        EXPECT_EQ(one(cluster.catalog(), std::string("SELECT count(*) FROM keyshift.") + table), "0") << table;
    }
}

TEST(ProjectionRebuild, AStoppedDaemonGoesOnWithItAndAFailedOneBeginsAnew)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    cluster.stop_projections();
    projections::rebuild(cluster.catalog(), "by_user", false);
    // Something that no retry mends: the successor's table refuses every row.
    for (const std::size_t node : {0U, 1U}) {
        cluster.connect(node).script("ALTER TABLE keyshift.by_user__g2 ADD CONSTRAINT never CHECK (like_id < 0)");
    }
    cluster.start_projections();
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'failed' FROM keyshift.projection WHERE NOT serving"));
    const auto shown = projections::show(cluster.catalog(), "by_user");
    EXPECT_EQ(shown.at("generation"), 1);
    EXPECT_EQ(shown.at("state"), "live");
    EXPECT_EQ(shown.at("rebuild").at("state"), "failed");
    EXPECT_THAT(shown.at("rebuild").at("error").dump(),
                HasSubstr("400 rows that generation 1 shows could not be used"));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_EQ(projections::rebuild(cluster.catalog(), "by_user", false).at("generation"), 2);
    ASSERT_TRUE(cluster.wait_until(kServes));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_TRUE(cluster.wait_until("SELECT rejections = 0 FROM keyshift.projection")) << "those of the one that failed";
}

} // namespace
} // namespace keyshift::test
