/// INV-PRJ-1 where the base table is truncated, with everything real.

#include "tests/projections/projected_cluster.hpp"

#include "catalog/node_access.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

const char* const kByUser = "SELECT user_id, like_id, post_id, content FROM likes";
const char* const kAfterwards = "TRUNCATE public.likes; INSERT INTO public.likes SELECT i % 9, i, i % 7, 1, 'after' "
                                "FROM generate_series(390, 410) i";

/// The generation that a truncation has begun serves, alone.
std::string serves(const std::string& name, int generation)
{
    return "SELECT count(*) = 1 AND min(generation) = " + std::to_string(generation) +
           " AND bool_and(serving) AND min(state) = 'live' FROM keyshift.projection WHERE name = '" + name + "'";
}

class TruncatedBase : public testing::Test {
protected:
    int shown(const std::string& table)
    {
        int rows = 0;
        for (const std::string& count : cluster.rows("SELECT count(*) FROM public." + table)) {
            rows += std::stoi(count);
        }
        return rows;
    }

    ProjectedCluster cluster;
};

/// INV-PRJ-2 too: while the rows that are gone are shown, no token is waited for in vain.
TEST_F(TruncatedBase, IsShownByANewGenerationAndNobodyIsToldBeforeThatItIs)
{
    cluster.create_and_wait("by_user", "user_id", kByUser);
    pg::Connection node = cluster.connect(0);
    node.script("SELECT keyshift.wait_for('public.by_user', keyshift.token(), '60 s')");
    std::string token;
    {
        const catalog::CommandLock other(cluster.catalog(), "another command");
        node.script(kAfterwards);
        token = one(node, "SELECT keyshift.token()");
        EXPECT_EQ(cluster.rows_once("SELECT content FROM public.by_user WHERE like_id = 410", {"after"}).size(), 1U)
            << "events go on being applied";
        ASSERT_TRUE(cluster.wait_until("SELECT error IS NOT NULL FROM keyshift.projection"));
        const auto error = projections::show(cluster.catalog(), "by_user").at("error");
        EXPECT_THAT(error.at("why").get<std::string>(), HasSubstr("public.likes was truncated on node n1"));
        EXPECT_THAT(error.at("next").get<std::string>(), HasSubstr("another command"));
        EXPECT_GT(shown("by_user"), 400);
        EXPECT_EQ(sqlstate_of(node, "SELECT keyshift.wait_for('public.by_user', '" + token + "', '500 ms')"), "KS002");
    }
    node.script("SELECT keyshift.wait_for('public.by_user', '" + token + "', '60 s')");
    EXPECT_EQ(shown("by_user"), 21);
    ASSERT_TRUE(cluster.wait_until(serves("by_user", 2)));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_TRUE(projections::show(cluster.catalog(), "by_user").at("error").is_null());
    node.script("SELECT keyshift.wait_for('public.by_user', keyshift.token(), '60 s')");
}

TEST_F(TruncatedBase, IsFoundByAProjectionThatDidNotRunMeanwhile)
{
    cluster.create_and_wait("by_user", "user_id", kByUser);
    cluster.stop_projections();
    cluster.connect(0).script(kAfterwards);
    ASSERT_TRUE(cluster.wait_until_captured());
    cluster.start_projections();
    ASSERT_TRUE(cluster.wait_until(serves("by_user", 2)));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_EQ(shown("by_user"), 21);
    cluster.stop_projections();
    cluster.start_projections(); // and is not found again
    cluster.connect(0).script("SELECT keyshift.wait_for('public.by_user', keyshift.token(), '60 s')");
    EXPECT_TRUE(cluster.wait_until(serves("by_user", 2)));
}

TEST_F(TruncatedBase, TakesGroupsAndTheirTotalsWithIt)
{
    cluster.create_and_wait("of_post", "post_id",
                            "SELECT post_id, count(*) AS likes, sum(amount) AS amount FROM likes GROUP BY post_id");
    cluster.connect(0).script(kAfterwards);
    ASSERT_TRUE(cluster.wait_until(serves("of_post", 2)));
    EXPECT_EQ(cluster.verify("of_post"), "0/0/0");
    EXPECT_EQ(cluster.rows("SELECT likes FROM public.of_post"),
              std::vector<std::string>({"2", "2", "2", "2", "2", "2", "3", "3", "3"}));
}

TEST_F(TruncatedBase, BeginsAGenerationAnewThatIsBeingBuilt)
{
    cluster.create_and_wait("by_user", "user_id", kByUser);
    cluster.stop_projections();
    cluster.options().max_backfill_rate = 1;
    cluster.start_projections();
    projections::RebuildRequest request;
    request.name = "by_user";
    request.sql = "SELECT user_id, like_id, amount FROM likes"; // what was asked for is begun anew, not what serves
    request.keep_seconds = 3600;
    projections::rebuild(cluster.catalog(), request);
    const std::string successor = "FROM keyshift.projection WHERE NOT serving";
    ASSERT_TRUE(cluster.wait_until("SELECT start_offsets IS NOT NULL " + successor));
    const std::string id = one(cluster.catalog(), "SELECT id " + successor);
    cluster.connect(0).script("TRUNCATE public.likes");
    ASSERT_TRUE(cluster.wait_until("SELECT id > " + id + " " + successor));
    cluster.stop_projections();
    cluster.options().max_backfill_rate = 0;
    cluster.start_projections();
    ASSERT_TRUE(cluster.wait_until("SELECT generation = 2 AND state = 'live' AND keep_seconds = 3600 "
                                   "FROM keyshift.projection WHERE serving"));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_EQ(shown("by_user"), 0);
    EXPECT_EQ(projections::show(cluster.catalog(), "by_user").at("sql"), request.sql);
    EXPECT_EQ(cluster.rows("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute "
                           "WHERE attrelid = 'public.by_user'::regclass AND attnum > 0"),
              std::vector<std::string>(2, "user_id like_id amount"));
}

TEST_F(TruncatedBase, IsOneOfSeveralTablesOfAProjection)
{
    cluster.connect(0).script("CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL);"
                              "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(0, 19) i");
    cluster.distribute("users", "user_id");
    cluster.create("named", "user_id",
                   "SELECT l.user_id, l.like_id, u.name FROM likes l LEFT JOIN users u ON u.user_id = l.user_id");
    ASSERT_TRUE(cluster.wait_until("SELECT count(*) = 2 AND bool_and(state = 'live') FROM keyshift.projection"));
    EXPECT_EQ(shown("named"), 400);
    cluster.connect(0).script("TRUNCATE public.users; INSERT INTO public.users VALUES (3, 'new')");
    EXPECT_EQ(cluster.rows_once("SELECT DISTINCT coalesce(name, '-') FROM public.named", {"-", "-", "new"}),
              (std::vector<std::string>{"-", "-", "new"}));
    ASSERT_TRUE(
        cluster.wait_until("SELECT count(*) = 2 AND max(generation) = 2 AND bool_and(serving AND state = 'live') "
                           "FROM keyshift.projection"));
    EXPECT_EQ(cluster.verify("named"), "0/0/0");
}

} // namespace
} // namespace keyshift::test
