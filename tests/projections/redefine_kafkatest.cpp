/// A projection gets another definition while it is read and written, and goes back to the one before.

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

const char* const kBefore = "SELECT user_id, like_id, amount, content FROM likes";
const char* const kAfter = "SELECT user_id, like_id, upper(content) AS loud FROM likes WHERE amount >= 0";

projections::RebuildRequest to(const std::string& sql, std::int64_t keep_seconds = 3600)
{
    projections::RebuildRequest request;
    request.name = "by_user";
    request.sql = sql;
    request.keep_seconds = keep_seconds;
    request.apply = true;
    return request;
}

std::string serves(int generation)
{
    return "SELECT bool_or(serving AND state = 'live' AND generation = " + std::to_string(generation) +
           ") FROM keyshift.projection WHERE name = 'by_user'";
}

std::string refusal(pg::Connection& catalog, const projections::RebuildRequest& request)
{
    try {
        projections::rebuild(catalog, request);
    } catch (const RefusedError& error) {
        return error.parts().why + " " + error.parts().next;
    }
    return "it was taken";
}

class ProjectionRedefined : public testing::Test {
protected:
    ProjectionRedefined() { cluster_.create_and_wait("by_user", "user_id", kBefore); }

    std::jthread writer() const
    {
        return std::jthread([connection = cluster_.connect(0)](std::stop_token stop) mutable {
            for (int turn = 0; sleep_for(20ms, stop); ++turn) {
                const std::string n = std::to_string(turn);
                connection.script("UPDATE public.likes SET content = 'turn " + n +
                                  "', user_id = (user_id + 1) % 20 WHERE like_id = 1 + " + n + " % 400");
            }
        });
    }
    std::string columns(std::size_t node) const
    {
        pg::Connection connection = cluster_.connect(node);
        return one(connection, "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute "
                               "WHERE attrelid = 'public.by_user'::regclass AND attnum > 0");
    }

    ProjectedCluster cluster_;
};

TEST_F(ProjectionRedefined, ReplacesTheOldOneUnderWritesAndGoesBackToItUpToDate)
{
    cluster_.connect(0).script("GRANT SELECT ON public.by_user TO pg_monitor");
    {
        const std::jthread writing = writer();
        EXPECT_EQ(projections::rebuild(cluster_.catalog(), to(kAfter)).at("generation"), 2);
        ASSERT_TRUE(cluster_.wait_until(serves(2)));
        ASSERT_TRUE(cluster_.wait_until("SELECT count(*) = 2 FROM keyshift.projection WHERE state = 'live'"));
    }
    EXPECT_EQ(cluster_.verify("by_user"), "0/0/0");
    EXPECT_EQ(columns(0) + " " + columns(1), "user_id,like_id,loud user_id,like_id,loud");
    pg::Connection node = cluster_.connect(0);
    EXPECT_EQ(one(node, "SELECT has_table_privilege('pg_monitor', 'public.by_user', 'SELECT')"), "t") << "grants stay";
    const auto shown = projections::show(cluster_.catalog(), "by_user");
    EXPECT_EQ(shown.at("sql"), kAfter);
    EXPECT_EQ(shown.at("previous").at("generation"), 1);
    EXPECT_EQ(shown.at("previous").at("sql"), kBefore);
    EXPECT_THAT(refusal(cluster_.catalog(), to("SELECT user_id FROM likes, users")), HasSubstr("another name"));

    node.script("UPDATE public.likes SET content = 'since then' WHERE like_id = 7");
    EXPECT_EQ(projections::rollback(cluster_.catalog(), "by_user", true).at("generation"), 1);
    EXPECT_EQ(projections::rollback(cluster_.catalog(), "by_user", false).at("generation"), 1);
    ASSERT_TRUE(cluster_.wait_until(serves(1)));
    EXPECT_EQ(columns(0) + " " + columns(1), "user_id,like_id,amount,content user_id,like_id,amount,content");
    EXPECT_EQ(cluster_.verify("by_user"), "0/0/0");
    const auto counted = cluster_.rows("SELECT count(*) FROM public.by_user WHERE content = 'since then'");
    EXPECT_EQ(std::stoi(counted[0]) + std::stoi(counted[1]), 1);
    EXPECT_EQ(projections::show(cluster_.catalog(), "by_user").at("previous").at("generation"), 2)
        << "and forward again";
}

TEST_F(ProjectionRedefined, TheGenerationBeforeGoesWhenItsTimeIsOver)
{
    const std::string before = cluster_.traces(0);
    projections::rebuild(cluster_.catalog(), to(kAfter));
    ASSERT_TRUE(
        cluster_.wait_until("SELECT count(*) FILTER (WHERE keep_until IS NOT NULL) = 1 FROM keyshift.projection"));
    cluster_.catalog().script("UPDATE keyshift.projection SET keep_until = now() WHERE keep_until IS NOT NULL");
    ASSERT_TRUE(
        cluster_.wait_until("SELECT count(*) = 1 AND bool_and(serving AND generation = 2) FROM keyshift.projection"));
    for (const std::size_t node : {0U, 1U}) {
        pg::Connection connection = cluster_.connect(node);
        EXPECT_EQ(one(connection, "SELECT count(*) FROM pg_class WHERE relname LIKE 'by\\_user\\_\\_g1%'"), "0");
    }
    EXPECT_THROW(projections::rollback(cluster_.catalog(), "by_user", false), RefusedError);
    projections::drop(cluster_.catalog(), "by_user");
    EXPECT_EQ(cluster_.traces(0).find("by_user"), std::string::npos);
}

TEST_F(ProjectionRedefined, AnotherKeyMovesTheRowsAndWhatCannotChangeIsRefused)
{
    cluster_.connect(0).script("CREATE VIEW public.above AS SELECT amount FROM public.by_user");
    EXPECT_THAT(refusal(cluster_.catalog(), to(kAfter)), HasSubstr("above"));
    cluster_.connect(0).script("DROP VIEW public.above");
    for (const std::size_t node : {0U, 1U}) {
        cluster_.connect(node).script("ALTER TABLE public.likes ADD COLUMN owner_id bigint NOT NULL DEFAULT 3");
    }
    projections::RebuildRequest request = to("SELECT owner_id, like_id, content FROM likes");
    request.key = {"owner_id"};
    request.apply = false;
    EXPECT_THAT(refusal(cluster_.catalog(), request), HasSubstr("--apply"));
    request.apply = true;
    projections::rebuild(cluster_.catalog(), request);
    {
        const std::jthread writing = writer();
        ASSERT_TRUE(cluster_.wait_until(serves(2)));
    }
    cluster_.connect(0).script("UPDATE public.likes SET owner_id = like_id WHERE like_id % 3 = 0");
    EXPECT_EQ(cluster_.verify("by_user"), "0/0/0");
    request = to("SELECT content, like_id FROM likes");
    request.key = {"content"};
    EXPECT_THAT(refusal(cluster_.catalog(), request), HasSubstr("key of another type"));
    projections::rollback(cluster_.catalog(), "by_user", false);
    ASSERT_TRUE(cluster_.wait_until(serves(1)));
    EXPECT_EQ(cluster_.verify("by_user"), "0/0/0");
    projections::drop(cluster_.catalog(), "by_user");
    EXPECT_EQ(cluster_.traces(0).find("by_user"), std::string::npos);
}

} // namespace
} // namespace keyshift::test
