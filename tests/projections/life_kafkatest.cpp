/// Pause, resume and what a topic may lose meanwhile, with everything real.

#include "tests/projections/projected_cluster.hpp"

#include "catalog/node_access.hpp"
#include "core/change_event.hpp"
#include "core/json.hpp"
#include "tests/support/kafka_tool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

const char* const kByUser = "SELECT user_id, like_id, post_id, content FROM likes";

/// Deletes what the topic of likes holds by now.
void delete_all_records(ProjectedCluster& cluster)
{
    const std::string topic = data_topic(cluster.options().topic_prefix, "public", "likes");
    kafka::Consumer consumer(cluster.options().kafka, "test");
    delete_records(cluster.options().kafka, topic,
                   {consumer.watermarks(topic, 0).second, consumer.watermarks(topic, 1).second});
}

TEST(PausedProjection, StaysPausedAcrossARestartAndThenAppliesWhatCameMeanwhile)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    projections::pause(cluster.catalog(), "by_user");
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'paused' FROM keyshift.projection"));
    cluster.connect(0).script("UPDATE public.likes SET user_id = 77 WHERE like_id = 7");
    cluster.stop_projections();
    cluster.start_projections();
    ASSERT_TRUE(cluster.wait_until_captured());
    EXPECT_EQ(projections::show(cluster.catalog(), "by_user").at("state"), "paused");
    const std::string user = "SELECT user_id FROM public.by_user WHERE like_id = 7";
    EXPECT_EQ(cluster.rows(user), (std::vector<std::string>{"7"}));
    projections::resume(cluster.catalog(), "by_user");
    EXPECT_EQ(cluster.rows_once(user, {"77"}), (std::vector<std::string>{"77"}));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
}

/// At a row a second none of the buckets is done soon; writes are shown meanwhile, and the next start goes on without the limit.
TEST(Backfill, KeepsToItsRateAndHoldsUpNoWrite)
{
    ProjectedCluster cluster;
    cluster.stop_projections();
    cluster.options().batch_rows = 7;
    cluster.options().workers = 3;
    cluster.options().max_backfill_rate = 1;
    cluster.start_projections();
    cluster.create("by_user", "user_id", kByUser);
    ASSERT_TRUE(cluster.wait_until("SELECT start_offsets IS NOT NULL FROM keyshift.projection"));
    cluster.connect(0).script("UPDATE public.likes SET user_id = 77 WHERE like_id = 7");
    const std::string user = "SELECT user_id FROM public.by_user WHERE like_id = 7";
    EXPECT_EQ(cluster.rows_once(user, {"77"}), (std::vector<std::string>{"77"}));
    EXPECT_TRUE(cluster.wait_until("SELECT state = 'building' AND backfill = '{}' FROM keyshift.projection"));
    cluster.stop_projections();
    cluster.options().max_backfill_rate = 0;
    cluster.start_projections();
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'live' FROM keyshift.projection"));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
}

TEST(PausedProjection, NeverSkipsWhatRetentionHasDeletedButIsBuiltAnewFromTheRows)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    projections::pause(cluster.catalog(), "by_user");
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'paused' FROM keyshift.projection"));
    cluster.connect(0).script(
        "UPDATE public.likes SET user_id = 77 WHERE like_id % 2 = 0; DELETE FROM public.likes WHERE like_id % 3 = 0");
    ASSERT_TRUE(cluster.wait_until_captured());
    delete_all_records(cluster);
    {
        const catalog::CommandLock other(cluster.catalog(), "another command");
        projections::resume(cluster.catalog(), "by_user");
        ASSERT_TRUE(cluster.wait_until("SELECT error IS NOT NULL FROM keyshift.projection"));
        const auto error = projections::show(cluster.catalog(), "by_user").at("error");
        EXPECT_THAT(error.at("why").get<std::string>(), HasSubstr("retention"));
        EXPECT_THAT(error.at("next").get<std::string>(), HasSubstr("another command"));
    }
    ASSERT_TRUE(
        cluster.wait_until("SELECT count(*) = 1 AND min(generation) = 2 AND bool_and(serving) AND min(state) = 'live' "
                           "FROM keyshift.projection"));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_EQ(cluster.rows("SELECT DISTINCT user_id FROM public.by_user WHERE like_id % 2 = 0"),
              (std::vector<std::string>{"77"}));
}

} // namespace
} // namespace keyshift::test
