/// Events that a projection cannot use, with everything real.

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

std::string key_of(int like)
{
    return R"({"post_id":1,"like_id":)" + std::to_string(like) + "}";
}

std::string row(int like, const std::string& user, const std::string& content)
{
    return R"({"post_id":1,"like_id":)" + std::to_string(like) + R"(,"user_id":)" + user +
           R"(,"amount":1,"content":")" + content + "\"}";
}

std::string created(const std::string& after)
{
    return R"({"before":null,"after":)" + after + R"(,"op":"c"})";
}

std::string reasons(ProjectedCluster& cluster)
{
    return one(cluster.catalog(),
               "SELECT coalesce(string_agg(reason, ' ' ORDER BY kafka_offset), '') FROM keyshift.rejection");
}

TEST(Rejections, KeepTheWholeRecordAndAreHealedByANewerVersionOnly)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    cluster.produce(key_of(6001),
                    created(R"({"post_id":1,"like_id":6001,"user_id":5,"amount":1,"amount":2,"content":"a"})"),
                    "1/900000000100/0");
    cluster.produce(key_of(6001), created(row(6001, "5", "older")), "1/900000000099/0");
    cluster.produce(key_of(6002), created(row(6002, "5", "neighbour")), "1/900000000100/1");
    const std::string content = "SELECT content FROM public.by_user WHERE like_id > 6000";
    EXPECT_EQ(cluster.rows_once(content, {"neighbour", "older"}), (std::vector<std::string>{"neighbour", "older"}));
    const auto list = projections::rejections(cluster.catalog(), "by_user");
    ASSERT_EQ(list.size(), 1U);
    const auto kept = projections::rejection(cluster.catalog(), list[0].at("id"));
    EXPECT_EQ(kept.at("reason"), "bad_json");
    EXPECT_EQ(kept.at("row"), R"(["1","6001"])");
    EXPECT_EQ(kept.at("key"), key_of(6001));
    EXPECT_THAT(kept.at("value").get<std::string>(), HasSubstr(R"("amount":2)"));
    EXPECT_EQ(kept.at("headers").at("keyshift.position"), "1/900000000100/0");
    EXPECT_EQ(kept.at("headers").at("keyshift.origin"), "n1/0");
    cluster.stop_projections(); // what is open is known again after a restart
    cluster.start_projections();
    cluster.produce(key_of(6001), created(row(6001, "5", "newer")), "1/900000000101/0");
    EXPECT_EQ(cluster.rows_once(content, {"neighbour", "newer"}), (std::vector<std::string>{"neighbour", "newer"}));
    EXPECT_TRUE(cluster.wait_until("SELECT rejections = 0 FROM keyshift.projection"));
    EXPECT_EQ(reasons(cluster), "");
}

TEST(Rejections, ARowThatLostItsKeyIsGoneFromItsOldPlaceAndComesBackWithTheNextOne)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    cluster.produce(key_of(6001), created(row(6001, "5", "a")), "1/900000000100/0");
    const std::string where = "SELECT user_id || content FROM public.by_user WHERE like_id = 6001";
    EXPECT_EQ(cluster.rows_once(where, {"5a"}), (std::vector<std::string>{"5a"}));
    const auto updated = [](const std::string& before, const std::string& after) {
        return R"({"before":)" + before + R"(,"after":)" + after + R"(,"op":"u"})";
    };
    cluster.produce(key_of(6001), updated(row(6001, "5", "a"), row(6001, "null", "a")), "1/900000000101/0");
    EXPECT_EQ(cluster.rows_once(where, {}), (std::vector<std::string>{}));
    EXPECT_TRUE(cluster.wait_until("SELECT rejections = 1 FROM keyshift.projection"));
    EXPECT_EQ(reasons(cluster), "null_key");
    cluster.produce(key_of(6001), updated(row(6001, "null", "a"), row(6001, "8", "b")), "1/900000000102/0");
    EXPECT_EQ(cluster.rows_once(where, {"8b"}), (std::vector<std::string>{"8b"}));
    EXPECT_TRUE(cluster.wait_until("SELECT rejections = 0 FROM keyshift.projection"));
}

TEST(Rejections, RetryGoesTheNormalWayAndDropForgets)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    for (const std::size_t node : {0U, 1U}) {
        cluster.connect(node).script(
            "ALTER TABLE keyshift.by_user__g1 ADD CONSTRAINT short CHECK (content <> 'poison')");
    }
    for (const int like : {6001, 6002, 6003}) {
        cluster.produce(key_of(like), created(row(like, "5", "poison")), "1/900000000100/" + std::to_string(like));
    }
    EXPECT_TRUE(cluster.wait_until("SELECT rejections = 3 FROM keyshift.projection"));
    const auto list = projections::rejections(cluster.catalog(), "by_user");
    const auto again = projections::retry_rejection(cluster.catalog(), list[0].at("id"), {});
    EXPECT_EQ(again.at("outcome"), "rejected");
    EXPECT_EQ(again.at("reason"), "refused_by_postgresql");
    for (const std::size_t node : {0U, 1U}) {
        cluster.connect(node).script("ALTER TABLE keyshift.by_user__g1 DROP CONSTRAINT short");
    }
    EXPECT_EQ(projections::retry_rejection(cluster.catalog(), list[0].at("id"), {}).at("outcome"), "applied");
    EXPECT_THAT(cluster.rows("SELECT content FROM public.by_user WHERE like_id > 6000"), ElementsAre("poison"));
    projections::drop_rejection(cluster.catalog(), list[1].at("id"));
    EXPECT_THROW(projections::drop_rejection(cluster.catalog(), list[1].at("id")), RefusedError);
    cluster.produce(key_of(6003), created(row(6003, "5", "fine")), "1/900000000101/0");
    EXPECT_TRUE(cluster.wait_until("SELECT rejections = 0 FROM keyshift.projection"));
    EXPECT_THAT(cluster.rows("SELECT content FROM public.by_user WHERE like_id > 6000"), ElementsAre("fine", "poison"));
}

TEST(Rejections, ARowThatWasThereBeforeIsOneToo)
{
    ProjectedCluster cluster;
    // Else an event of the snapshot is a rejection of its own beside the row's.
    ASSERT_TRUE(cluster.wait_until("SELECT bool_and(state = 'done') FROM keyshift.snapshot"));
    cluster.create_and_wait("shares", "user_id",
                            "SELECT user_id, like_id, 12 / amount AS share FROM likes WHERE like_id < 13");
    const std::string shares = "SELECT like_id || ':' || share FROM public.shares WHERE like_id < 7";
    EXPECT_THAT(cluster.rows(shares), ElementsAre("1:12", "2:6", "4:12", "5:6"));
    EXPECT_EQ(projections::show(cluster.catalog(), "shares").at("rejections"), 4);
    pg::Connection node = cluster.connect(0);
    node.script("UPDATE public.likes SET amount = 3 WHERE like_id = 3"); // a newer version heals it
    EXPECT_TRUE(cluster.wait_until("SELECT rejections = 3 FROM keyshift.projection"));
    EXPECT_THAT(cluster.rows(shares), ElementsAre("1:12", "2:6", "3:4", "4:12", "5:6"));
    const auto list = projections::rejections(cluster.catalog(), "shares");
    const auto sixth =
        std::find_if(list.begin(), list.end(), [](const auto& one) { return one.at("row") == R"(["6","6"])"; });
    ASSERT_NE(sixth, list.end()) << list.dump(2);
    EXPECT_EQ(projections::retry_rejection(cluster.catalog(), sixth->at("id"), {}).at("outcome"), "rejected");
    // They can be told apart in verify, and stand in the way of no rebuild.
    EXPECT_EQ(cluster.verify("shares"), "0/0/0");
    EXPECT_EQ(projections::verify(cluster.catalog(), "shares", {}).at("rejected"), 3);
    projections::rebuild(cluster.catalog(), "shares", false);
    ASSERT_TRUE(cluster.wait_until("SELECT generation = 2 AND rejections = 3 FROM keyshift.projection WHERE serving"));
    EXPECT_EQ(cluster.verify("shares"), "0/0/0");
    projections::pause(cluster.catalog(), "shares");
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'paused' FROM keyshift.projection"));
    node.script("UPDATE public.likes SET amount = 4 WHERE like_id = 6");
    EXPECT_EQ(projections::retry_rejection(cluster.catalog(), sixth->at("id"), {}).at("outcome"), "applied");
    EXPECT_THAT(cluster.rows(shares), ElementsAre("1:12", "2:6", "3:4", "4:12", "5:6", "6:3"));
}

TEST(Rejections, TooManyOfThemPauseTheProjectionWhichSaysSoAndGoesOnWhenResumed)
{
    ProjectedCluster cluster;
    cluster.stop_projections();
    cluster.options().max_rejections = 3;
    cluster.start_projections();
    cluster.create_and_wait("by_user", "user_id", kByUser);
    for (int like = 6001; like <= 6003; ++like) {
        cluster.produce(key_of(like), "{", "1/900000000100/" + std::to_string(like));
    }
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'paused' FROM keyshift.projection"));
    const auto shown = projections::show(cluster.catalog(), "by_user");
    EXPECT_EQ(shown.at("state"), "paused");
    EXPECT_THAT(shown.at("error").at("why").get<std::string>(), HasSubstr("3 of its events could not be used"));
    cluster.stop_projections(); // a restart does not resume it
    cluster.start_projections();
    cluster.produce(key_of(6009), created(row(6009, "5", "later")), "1/900000000200/0");
    projections::resume(cluster.catalog(), "by_user");
    const std::string content = "SELECT content FROM public.by_user WHERE like_id > 6000";
    EXPECT_EQ(cluster.rows_once(content, {"later"}), (std::vector<std::string>{"later"}));
    EXPECT_TRUE(cluster.wait_until("SELECT state = 'live' AND error IS NULL FROM keyshift.projection"));
}

} // namespace
} // namespace keyshift::test
