/// What made a row of a projection, with everything real.

#include "tests/projections/projected_cluster.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kByUser = "SELECT user_id, like_id, amount, content FROM likes";

std::string created(int like, const std::string& content)
{
    return R"({"before":null,"after":{"post_id":1,"like_id":)" + std::to_string(like) +
           R"(,"user_id":555,"amount":1,"content":")" + content + R"("},"op":"c"})";
}

TEST(ProjectionExplain, TellsWhichEventMadeEachRowAndWhyALaterOneLost)
{
    ProjectedCluster cluster;
    // Else an event of the topic's own snapshot made the row that is filled in.
    ASSERT_TRUE(cluster.wait_until("SELECT bool_and(state = 'done') FROM keyshift.snapshot"));
    cluster.create_and_wait("by_user", "user_id", kByUser);
    pg::Connection node = cluster.connect(0);
    node.script("UPDATE public.likes SET user_id = 500 WHERE like_id IN (7, 8)");
    node.script("UPDATE public.likes SET user_id = 501 WHERE like_id = 8");
    cluster.produce(R"({"post_id":1,"like_id":6001})", created(6001, "newer"), "1/900000000101/0");
    cluster.produce(R"({"post_id":1,"like_id":6001})", created(6001, "late"), "1/900000000100/0");
    cluster.produce(R"({"post_id":1,"like_id":6002})", created(6002, "last"), "1/900000000102/0");
    const std::string last = "SELECT content FROM public.by_user WHERE like_id > 6000";
    ASSERT_EQ(cluster.rows_once(last, {"last", "newer"}), (std::vector<std::string>{"last", "newer"}));
    ASSERT_EQ(cluster.rows_once("SELECT user_id FROM public.by_user WHERE like_id = 8", {"501"}),
              (std::vector<std::string>{"501"}));
    const projections::ExplainOptions options{cluster.options().kafka, cluster.options().topic_prefix, 10'000};
    const auto moved = projections::explain(cluster.catalog(), "by_user", {"500"}, options, {});
    ASSERT_EQ(moved.at("rows").size(), 2U) << moved.dump(2);
    EXPECT_EQ(moved.at("rows")[0].at("primary_key"), R"(["7","7"])");
    EXPECT_EQ(moved.at("rows")[0].at("live"), true);
    EXPECT_TRUE(moved.at("rows")[0].at("made_by").contains("offset"));
    EXPECT_EQ(moved.at("rows")[1].at("live"), false) << "the tombstone that it left behind";
    EXPECT_TRUE(moved.at("rows")[1].at("made_by").contains("offset"));
    const auto late = projections::explain(cluster.catalog(), "by_user", {"555"}, options, {});
    std::vector<std::string> outcomes;
    for (const auto& event : late.at("events")) {
        if (event.at("primary_key") == R"(["1","6001"])") {
            outcomes.push_back(event.at("outcome"));
        }
    }
    EXPECT_THAT(outcomes, ElementsAre("made the row as it is", HasSubstr("lost: 1/900000000101/0 is newer")));
    const auto filled = projections::explain(cluster.catalog(), "by_user", {"5"}, options, {});
    EXPECT_THAT(filled.at("rows")[0].at("made_by").dump(), HasSubstr("before the projection's first event"));
    ASSERT_FALSE(filled.at("events").empty());
    for (const auto& event : filled.at("events")) {
        EXPECT_THAT(event.at("outcome"), HasSubstr("came before the projection's first event")) << filled.dump(2);
    }
    EXPECT_THROW(projections::explain(cluster.catalog(), "by_user", {"five"}, options, {}), Error);
}

} // namespace
} // namespace keyshift::test
