/// keyshift.token() and keyshift.wait_for(), as psql calls them.

#include "tests/projections/projected_cluster.hpp"

#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

const char* const kByUser = "SELECT user_id, like_id, post_id, content FROM likes";

/// The error of a statement; empty: none.
std::string failure(pg::Connection& connection, const std::string& sql)
{
    try {
        connection.script(sql);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

/// INV-PRJ-2.
TEST(ReadYourWrites, EveryReadBehindWaitForShowsTheWriteOfTheToken)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    pg::Connection writer = cluster.connect(0);
    pg::Connection readers[] = {cluster.connect(0), cluster.connect(1)};
    for (int turn = 0; turn < 40; ++turn) {
        const std::string user = std::to_string(1000 + turn);
        writer.script("UPDATE public.likes SET user_id = " + user + " WHERE like_id = 7");
        const std::string token = one(writer, "SELECT keyshift.token()");
        for (pg::Connection& reader : readers) {
            const bool owner = one(reader, "SELECT keyshift.owns('public.by_user', '" + user + "')") == "t";
            reader.script("SELECT keyshift.wait_for('public.by_user', '" + token + "', '30 s')");
            EXPECT_EQ(one(reader, "SELECT count(*) FROM public.by_user WHERE like_id = 7 AND user_id = " + user),
                      owner ? "1" : "0")
                << turn;
            EXPECT_EQ(one(reader, "SELECT count(*) FROM public.by_user WHERE like_id = 7 AND user_id <> " + user), "0");
        }
    }
}

TEST(ReadYourWrites, ATimeoutRaisesWithThePresentLagAndNeverReturns)
{
    ProjectedCluster cluster;
    pg::Connection node = cluster.connect(0);
    cluster.create_and_wait("by_user", "user_id", kByUser);
    node.script("SELECT keyshift.wait_for('public.by_user', keyshift.token(), '30 s')");
    projections::pause(cluster.catalog(), "by_user");
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'paused' FROM keyshift.projection"));
    node.script("UPDATE public.likes SET user_id = 77 WHERE like_id = 7");
    const std::string token = one(node, "SELECT keyshift.token()");
    const std::string wait = "SELECT keyshift.wait_for('public.by_user', '" + token + "', '100 ms')";
    EXPECT_EQ(sqlstate_of(node, wait), "KS002");
    EXPECT_THAT(failure(node, wait), HasSubstr("bytes of WAL further"));
    node.script("BEGIN ISOLATION LEVEL REPEATABLE READ");
    EXPECT_EQ(sqlstate_of(node, wait), "25001") << "its snapshot would never show it";
    node.script("ROLLBACK");
    projections::resume(cluster.catalog(), "by_user");
    node.script("SELECT keyshift.wait_for('public.by_user', '" + token + "', '60 s')");
    EXPECT_EQ(cluster.rows("SELECT user_id FROM public.by_user WHERE like_id = 7"), (std::vector<std::string>{"77"}));
}

TEST(ReadYourWrites, WhatCannotBeKeptIsNotPromised)
{
    ProjectedCluster cluster;
    cluster.stop_projections();
    cluster.create("by_user", "user_id", kByUser);
    pg::Connection node = cluster.connect(0);
    EXPECT_THAT(failure(node, "SELECT keyshift.wait_for('public.by_user', keyshift.token(), '0 s')"),
                HasSubstr("shows nothing of node n1 yet"));
    node.script("BEGIN");
    node.script("UPDATE public.likes SET user_id = 77 WHERE like_id = 7");
    EXPECT_EQ(sqlstate_of(node, "SELECT keyshift.token()"), "25001") << "the commit is still to come";
    node.script("ROLLBACK");
    EXPECT_EQ(sqlstate_of(node, "SELECT keyshift.wait_for('public.by_user', 'n1', '0 s')"), "22023");
    EXPECT_EQ(sqlstate_of(node, "SELECT keyshift.wait_for('keyshift.local_table', 'n1/0/0', '0 s')"), "42P01");
}

TEST(ReadYourWrites, AnyRoleMayAskForATokenAndWait)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    pg::Connection node = cluster.connect(0);
    const std::string role = unique_name("reader");
    node.script("CREATE ROLE " + role + "; SET ROLE " + role);
    node.script("SELECT keyshift.wait_for('public.by_user', keyshift.token(), '30 s')");
    node.script("RESET ROLE; DROP ROLE " + role);
}

} // namespace
} // namespace keyshift::test
