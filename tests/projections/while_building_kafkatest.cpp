/// INV-PRJ-1 of what happens to a table while a projection of it is built, or to its topic, with everything real.

#include "core/change_event.hpp"
#include "core/json.hpp"
#include "tests/projections/projected_cluster.hpp"
#include "tests/support/kafka_tool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

const char* const kByUser = "SELECT user_id, like_id, post_id, amount, content FROM public.likes";
const char* const kSums =
    "SELECT user_id, count(*) AS n, sum(amount) AS amount, min(like_id) AS oldest FROM public.likes GROUP BY user_id";

class WhileBuilding : public testing::Test {
protected:
    bool is_live() { return cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection"); }

    void expect_exact(const std::string& name, const std::string& sql)
    {
        std::vector<std::string> wanted;
        const pg::Result rows = base_.query("SELECT r::text FROM (" + sql + ") r");
        for (int row = 0; row < rows.rows(); ++row) {
            wanted.emplace_back(rows.text(row, 0));
        }
        std::sort(wanted.begin(), wanted.end());
        EXPECT_EQ(cluster_.rows_once("SELECT r::text FROM public." + name + " r", wanted), wanted) << name;
        EXPECT_EQ(cluster_.verify(name), "0/0/0") << name;
    }

    /// One row a second until the next start.
    void build_slowly(const std::string& name, const std::string& sql)
    {
        cluster_.stop_projections();
        cluster_.options().batch_rows = 7;
        cluster_.options().max_backfill_rate = 1;
        cluster_.start_projections();
        cluster_.create(name, "user_id", sql);
        ASSERT_TRUE(cluster_.wait_until("SELECT start_offsets IS NOT NULL FROM keyshift.projection"));
    }

    ProjectedCluster cluster_;
    pg::Connection base_ = cluster_.connect(0);
};

TEST_F(WhileBuilding, ATransactionThatOutlivesTheBackfillIsInItWithoutWhatItTookBack)
{
    cluster_.stop_projections();
    cluster_.create("by_user", "user_id", kByUser);
    cluster_.create("sums", "user_id", kSums);
    pg::Connection writer = cluster_.connect(0);
    writer.script(
        "BEGIN; INSERT INTO public.likes VALUES (1, 5001, 30, 1, 'before'); UPDATE public.likes SET user_id = 31 WHERE like_id = 1; "
        "SAVEPOINT a; DELETE FROM public.likes WHERE like_id IN (2, 3); ROLLBACK TO a; DELETE FROM public.likes WHERE like_id = 3; "
        "SAVEPOINT b; UPDATE public.likes SET user_id = 32 WHERE like_id = 5001; RELEASE b");
    cluster_.start_projections();
    ASSERT_TRUE(is_live());
    base_.script("UPDATE public.likes SET user_id = 33 WHERE like_id = 4"); // one that began later and is done before
    writer.script("UPDATE public.likes SET amount = 9 WHERE like_id IN (1, 5001); COMMIT");
    expect_exact("by_user", kByUser);
    expect_exact("sums", kSums);
}

TEST_F(WhileBuilding, AProjectedColumnThatIsDroppedPausesItWithTheReason)
{
    build_slowly("by_user", kByUser);
    for (const std::size_t node : {0U, 1U}) {
        cluster_.connect(node).script("ALTER TABLE public.likes DROP COLUMN amount");
    }
    ASSERT_TRUE(cluster_.wait_until("SELECT state = 'paused' AND error IS NOT NULL FROM keyshift.projection"));
    EXPECT_THAT(projections::show(cluster_.catalog(), "by_user").at("error").at("why").get<std::string>(),
                HasSubstr("column amount of public.likes is no longer there on node n1"));
    cluster_.stop_projections();
    cluster_.options().max_backfill_rate = 0;
    cluster_.start_projections();
    projections::drop(cluster_.catalog(), "by_user");
    const char* const without = "SELECT user_id, like_id, content FROM public.likes";
    cluster_.create_and_wait("by_user", "user_id", without);
    expect_exact("by_user", without);
}

TEST_F(WhileBuilding, AProjectedColumnThatIsRenamedOrOneThatComesIsNoReasonToBeginAnew)
{
    build_slowly("by_user", "SELECT user_id, like_id, amount FROM public.likes");
    for (const std::size_t node : {0U, 1U}) {
        cluster_.connect(node).script(
            "ALTER TABLE public.likes RENAME COLUMN amount TO number; ALTER TABLE public.likes ADD COLUMN mood text DEFAULT 'none'");
    }
    base_.script("UPDATE public.likes SET number = 77, mood = 'good' WHERE like_id % 2 = 0");
    ASSERT_TRUE(cluster_.wait_until(
        "SELECT definition -> 'base_columns' @> '[{\"name\": \"number\"}]' FROM keyshift.projection"));
    cluster_.stop_projections();
    cluster_.options().max_backfill_rate = 0;
    cluster_.start_projections();
    ASSERT_TRUE(is_live());
    expect_exact("by_user", "SELECT user_id, like_id, number AS amount FROM public.likes");
}

/// More rows than a batch, a queue or a poll holds, all of one key, which they leave in one more transaction.
TEST_F(WhileBuilding, ATransactionOfAHundredThousandRowsOfOneKeyIsAppliedWhole)
{
    cluster_.create("by_user", "user_id", kByUser);
    cluster_.create("sums", "user_id", kSums);
    base_.script("INSERT INTO public.likes SELECT i % 50, i, 40, i % 3, 'hot' FROM generate_series(10001, 110000) i");
    ASSERT_TRUE(is_live());
    base_.script("UPDATE public.likes SET user_id = 41 WHERE user_id = 40 AND like_id % 2 = 0");
    for (const auto& [name, sql] : {std::pair("by_user", kByUser), std::pair("sums", kSums)}) {
        EXPECT_EQ(cluster_.verify(name), "0/0/0");
        for (const char* user : {"40", "41"}) {
            const std::string of_user = std::string(" r WHERE user_id = ") + user;
            const std::string sum = "SELECT count(*) || ' ' || sum(hashtextextended(r::text, 0)) FROM ";
            const std::vector<std::string> held = cluster_.rows(sum + "public." + name + of_user);
            EXPECT_THAT(held, testing::Contains(one(base_, sum + "(" + sql + ")" + of_user))) << name << user;
        }
    }
}

/// Keys would go to other partitions than their earlier events, so the order of a row's events would be lost.
TEST_F(WhileBuilding, MorePartitionsOfItsTopicAreRefusedAndARebuildGoesOn)
{
    cluster_.create_and_wait("by_user", "user_id", kByUser);
    projections::pause(cluster_.catalog(), "by_user");
    ASSERT_TRUE(cluster_.wait_until("SELECT state = 'paused' FROM keyshift.projection"));
    set_partitions(cluster_.options().kafka, data_topic(cluster_.options().topic_prefix, "public", "likes"), 3);
    projections::resume(cluster_.catalog(), "by_user");
    ASSERT_TRUE(cluster_.wait_until("SELECT state = 'failed' FROM keyshift.projection"));
    const auto error = projections::show(cluster_.catalog(), "by_user").at("error");
    EXPECT_THAT(error.at("why").get<std::string>(),
                HasSubstr("has 3 partitions, and this generation was begun with 2"));
    EXPECT_THAT(error.at("next").get<std::string>(), HasSubstr("keyshift projection rebuild by_user"));
    projections::rebuild(cluster_.catalog(), "by_user", false);
    EXPECT_TRUE(
        cluster_.wait_until("SELECT bool_and(serving AND state = 'live' AND generation = 2) FROM keyshift.projection"));
    EXPECT_EQ(cluster_.verify("by_user"), "0/0/0");
}

} // namespace
} // namespace keyshift::test
