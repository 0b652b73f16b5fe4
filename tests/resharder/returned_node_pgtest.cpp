// A node that has lost a fence or an open, as a promoted standby may (docs/invariants.md, 7).
#include "resharder/stale_buckets.hpp"
#include "tests/resharder/placement_queries.hpp"
#include "tests/resharder/two_nodes.hpp"

#include "catalog/node_sql.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

/// Bucket 1 has moved from n1 to n2; n1 holds it frozen.
class ReturnedNode : public testing::Test {
protected:
    ReturnedNode()
    {
        cluster.load(200, 300);
        TwoNodes::Running running(cluster);
        EXPECT_EQ(cluster.reshard({1}, "n2"), "done");
        cluster.wait_until("n1", "SELECT state = 'settling' FROM keyshift.move");
    }

    /// As if the transaction had not reached the standby.
    void lose(const std::string& node, bool fence)
    {
        pg::Connection connection = cluster.connect(node);
        for (const char* table : {"users_b1", "posts_b1"}) {
            const QualifiedName leaf{"public", table};
            if (fence) {
                catalog::drop_reject_trigger(connection, leaf);
            } else {
                catalog::create_reject_trigger(connection, leaf, "users", BucketId{1}, "");
            }
        }
        connection.script(fence ? "UPDATE keyshift.local_bucket SET state = 'open', fence_lsn = NULL WHERE bucket = 1"
                                : "UPDATE keyshift.local_bucket SET state = 'closed', epoch = 0 WHERE bucket = 1");
        connection.query("SELECT keyshift.internal_compile_ownership('users')");
    }

    std::string mended(const std::string& node)
    {
        pg::Connection catalog = cluster.connect("n1");
        const nlohmann::json report =
            resharder::mend_returned_node(catalog, catalog::node(catalog, node), std::nullopt);
        return report.empty() ? "nothing" : report[0]["state"].get<std::string>();
    }

    std::string write(const std::string& node)
    {
        pg::Connection connection = cluster.connect(node);
        try {
            connection.script("UPDATE public.users_b1 SET name = name || '!'");
        } catch (const pg::SqlError& error) {
            return error.sqlstate();
        }
        return "written";
    }

    TwoNodes cluster;
};

TEST_F(ReturnedNode, AFenceThatWasLostIsThereAgainAndWhatWasMovedIsCleared)
{
    EXPECT_EQ(mended("n1"), "nothing");
    EXPECT_EQ(mended("n2"), "nothing");
    lose("n1", true);
    EXPECT_EQ(mended("n1"), "fenced_again");
    EXPECT_EQ(write("n1"), "written") << "no row is left there";
    pg::Connection n1 = cluster.connect("n1");
    EXPECT_THROW(n1.query("SELECT keyshift.must_own('public.users', min(user_id)) FROM generate_series(1, 200) user_id "
                          "WHERE keyshift.bucket_of('public.users', user_id::text) = 1"),
                 pg::SqlError);
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM public.users_b1"), "0");
    EXPECT_EQ(
        cluster.value(
            "n1",
            "SELECT count(*) FROM pg_trigger WHERE tgname = 'keyshift_reject' AND tgrelid = 'public.users_b1'::regclass AND tgenabled = 'A'"),
        "1");
    EXPECT_EQ(mended("n1"), "nothing");
    TwoNodes::Running running(cluster, quick());
    cluster.connect("n1").script("UPDATE keyshift.move SET settle_until = now()");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move");
    EXPECT_EQ(cluster.reshard({1}, "n1"), "done") << "it may come back";
}

TEST_F(ReturnedNode, RowsWrittenWhereTheFenceWasLostStayBehindItAndAreReported)
{
    lose("n1", true);
    EXPECT_EQ(write("n1"), "written");
    EXPECT_EQ(mended("n1"), "written");
    EXPECT_EQ(write("n1"), "KS001");
    EXPECT_NE(cluster.value("n1", "SELECT count(*) FROM public.users_b1 WHERE name LIKE '%!'"), "0");
    EXPECT_EQ(cluster.value("n2", "SELECT count(*) FROM public.users_b1 WHERE name LIKE '%!'"), "0");
    TwoNodes::Running running(cluster);
    cluster.connect("n1").script("UPDATE keyshift.move SET settle_until = now()");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move");
    EXPECT_NE(cluster.value("n1", "SELECT count(*) FROM public.users_b1"), "0") << "settling clears nothing of it";
}

TEST_F(ReturnedNode, AnOpenThatWasLostIsThereAgainWhereTheRowsAreThoseThatWereMoved)
{
    lose("n2", false);
    EXPECT_EQ(write("n2"), "KS001");
    EXPECT_EQ(mended("n2"), "opened_again");
    EXPECT_EQ(write("n2"), "written");
    EXPECT_EQ(mended("n2"), "nothing");
}

TEST_F(ReturnedNode, WhatLacksRowsIsNotOpenedAndTheDonorKeepsItsOwn)
{
    cluster.connect("n2").script("DELETE FROM public.posts_b1");
    lose("n2", false);
    EXPECT_EQ(mended("n2"), "not_open");
    EXPECT_EQ(write("n2"), "KS001");
    TwoNodes::Running running(cluster);
    cluster.connect("n1").script("UPDATE keyshift.move SET settle_until = now()");
    cluster.wait_until("n1", "SELECT waiting_for LIKE 'node n2 to have the bucket again%' FROM keyshift.move");
    EXPECT_NE(cluster.value("n1", "SELECT count(*) FROM public.users_b1"), "0") << "the last copy of these rows";
}

/// As if the standby had not got it: n1 knows nothing of the new bucket, whose rows are in the old one's leaf.
TEST_F(ReturnedNode, ASplitThatWasLostIsReportedAndNothingIsTouched)
{
    cluster.connect("n1").script(
        "INSERT INTO keyshift.bucket SELECT 'users', max(bucket) + 1, 'n1', 2 FROM keyshift.bucket WHERE group_name = 'users'");
    const std::string before = cluster.value("n1", kFingerprint);
    EXPECT_EQ(mended("n1"), "split_lost");
    EXPECT_EQ(cluster.value("n1", kFingerprint), before);
    EXPECT_EQ(mended("n2"), "nothing");
}

} // namespace
} // namespace keyshift::test
