/// Somebody changes the base table's columns on the nodes themselves while projections follow it: nothing is lost, and nothing
/// is written as if it were data.

#include "tests/projections/projected_cluster.hpp"

#include "catalog/operations/ddl.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

class BaseDdl : public testing::Test {
protected:
    void alter(std::size_t node, const std::string& what)
    {
        cluster_.connect(node).script("ALTER TABLE public.likes " + what);
    }
    std::jthread writer(const std::string& set) const
    {
        return std::jthread([connection = cluster_.connect(0), set](std::stop_token stop) mutable {
            for (int turn = 0; sleep_for(3ms, stop); ++turn) {
                connection.script("UPDATE public.likes SET " + set + " WHERE post_id = " + std::to_string(turn % 50));
            }
        });
    }
    /// A write of every row that Kafka has: whoever goes on has seen it.
    void write_all(const std::string& set)
    {
        cluster_.connect(0).script("UPDATE public.likes SET " + set);
        ASSERT_TRUE(cluster_.wait_until_captured());
    }
    std::string why_paused(const std::string& name)
    {
        EXPECT_TRUE(cluster_.wait_until(
            "SELECT wanted = 'pause' AND state = 'paused' AND error IS NOT NULL FROM keyshift.projection "
            "WHERE serving AND name = '" +
            name + "'"));
        const auto error = projections::show(cluster_.catalog(), name).at("error");
        EXPECT_THAT(error.at("what").get<std::string>(), HasSubstr(name));
        for (const auto& listed : projections::list(cluster_.catalog())) {
            EXPECT_EQ(listed.at("error").is_null(), listed.at("name") != name);
        }
        return error.at("why").get<std::string>() + " | " + error.at("next").get<std::string>();
    }
    void rebuild(const std::string& sql)
    {
        projections::RebuildRequest request;
        request.name = "by_user";
        request.sql = sql;
        request.apply = true;
        projections::rebuild(cluster_.catalog(), request);
        ASSERT_TRUE(cluster_.wait_until("SELECT bool_or(serving AND state = 'live' AND generation > 1) FROM "
                                        "keyshift.projection WHERE name = 'by_user'"));
    }
    /// Until every projection whose name is like this reads the column.
    void wait_for_column(const std::string& column, const std::string& like = "%")
    {
        ASSERT_TRUE(cluster_.wait_until("SELECT bool_and(definition -> 'base_columns' @> '[{\"name\": \"" + column +
                                        "\"}]') FROM keyshift.projection WHERE serving AND name LIKE '" + like + "'"));
    }
    void expect_exact(const std::string& name)
    {
        ASSERT_TRUE(cluster_.wait_until(
            "SELECT bool_and(state = 'live' AND error IS NULL) FROM keyshift.shown_projection WHERE name = '" + name +
            "'"));
        ASSERT_TRUE(cluster_.wait_until_captured());
        EXPECT_EQ(cluster_.verify(name), "0/0/0") << name;
        EXPECT_EQ(projections::show(cluster_.catalog(), name).at("rejections"), 0) << name;
    }

    ProjectedCluster cluster_;
};

TEST_F(BaseDdl, AnAddedColumnIsIgnoredUntilAskedFor)
{
    cluster_.create_and_wait("by_user", "user_id", "SELECT user_id, like_id, amount FROM likes");
    {
        const std::jthread writing = writer("amount = amount + 1");
        alter(0, "ADD COLUMN mood text DEFAULT 'none'");
        alter(1, "ADD COLUMN mood text DEFAULT 'none'");
        write_all("mood = 'mood ' || like_id");
    }
    expect_exact("by_user");
    rebuild("SELECT user_id, like_id, amount, mood FROM likes");
    expect_exact("by_user");
    const auto counted = cluster_.rows("SELECT count(*) FROM public.by_user WHERE mood = 'mood ' || like_id");
    EXPECT_EQ(std::stoi(counted[0]) + std::stoi(counted[1]), 400);
}

TEST_F(BaseDdl, ADroppedColumnPausesWithTheReasonAndItsNeighboursGoOn)
{
    cluster_.create_and_wait("by_user", "user_id", "SELECT user_id, like_id, amount FROM likes");
    cluster_.create_and_wait("neighbour", "user_id", "SELECT user_id, like_id, content FROM likes");
    {
        const std::jthread writing = writer("content = content || '.'");
        alter(0, "DROP COLUMN amount");
        EXPECT_THAT(why_paused("by_user"),
                    AllOf(HasSubstr("column amount of public.likes is no longer there on node n1"),
                          HasSubstr("keyshift projection rebuild by_user --sql")));
        write_all("user_id = (user_id + 1) % 20");
        alter(1, "DROP COLUMN amount");
    }
    expect_exact("neighbour");
    projections::resume(cluster_.catalog(), "by_user");
    EXPECT_THAT(why_paused("by_user"), HasSubstr("column amount"));
    const auto without = cluster_.rows("SELECT count(*) FROM public.by_user WHERE amount IS NULL");
    EXPECT_EQ(std::stoi(without[0]) + std::stoi(without[1]), 0);
    EXPECT_EQ(projections::show(cluster_.catalog(), "by_user").at("rejections"), 0);
    rebuild("SELECT user_id, like_id, content FROM likes");
    expect_exact("by_user");
}

TEST_F(BaseDdl, ARetypedColumnPausesBeforeAValueIsWrittenAsTheOldType)
{
    alter(0, "ADD COLUMN code varchar(4) DEFAULT 'code'");
    alter(1, "ADD COLUMN code varchar(4) DEFAULT 'code'");
    const std::string sql = "SELECT user_id, like_id, code FROM likes";
    cluster_.create_and_wait("by_user", "user_id", sql);
    cluster_.connect(0).script("ALTER TABLE public.likes ALTER COLUMN code TYPE varchar(8);"
                               "UPDATE public.likes SET code = 'longcode'");
    EXPECT_THAT(why_paused("by_user"),
                HasSubstr("column code of public.likes is of type character varying(8) on node n1, and "
                          "it was made from character varying(4)"));
    const auto cut = cluster_.rows("SELECT count(*) FROM public.by_user WHERE code <> 'code'");
    EXPECT_EQ(std::stoi(cut[0]) + std::stoi(cut[1]), 0);
    alter(1, "ALTER COLUMN code TYPE varchar(8)");
    rebuild(sql);
    expect_exact("by_user");
    const auto whole = cluster_.rows("SELECT count(*) FROM public.by_user WHERE code = 'longcode'");
    EXPECT_EQ(std::stoi(whole[0]) + std::stoi(whole[1]), 400);

    alter(0, "DROP COLUMN code, ADD COLUMN code varchar(8)");
    EXPECT_THAT(why_paused("by_user"), HasSubstr("is another column on node n1 than the one it was made from"));
}

TEST_F(BaseDdl, ARenamedColumnIsFollowedOnceEveryNodeHasTheName)
{
    cluster_.create_and_wait("by_user", "user_id",
                             "SELECT user_id, like_id, upper(content) AS loud FROM likes WHERE amount >= 0");
    cluster_.create_and_wait("sums", "user_id",
                             "SELECT user_id, count(*) AS n, sum(amount) AS amount FROM likes GROUP BY user_id");
    cluster_.create("united", "user_id",
                    "SELECT user_id, like_id FROM likes UNION ALL SELECT user_id, amount FROM likes");
    ASSERT_TRUE(cluster_.wait_until("SELECT state = 'live' FROM keyshift.shown_projection WHERE name = 'united'"));
    {
        const std::jthread writing = writer("content = content || '.', post_id = post_id");
        for (const std::size_t node : {0U, 1U}) {
            alter(node, "RENAME COLUMN user_id TO who");
            alter(node, "RENAME COLUMN amount TO \"The Amount\"");
            alter(node, "RENAME COLUMN like_id TO number");
            if (node == 0) {
                EXPECT_TRUE(cluster_.wait_until("SELECT error ->> 'why' LIKE '% on node n1, and not yet on node n2' "
                                                "FROM keyshift.projection WHERE name = 'by_user'"));
            }
        }
    }
    cluster_.connect(0).script("UPDATE public.likes SET who = (who + 1) % 20, \"The Amount\" = number % 7");
    wait_for_column("who");
    for (const char* name : {"by_user", "sums", "united"}) {
        expect_exact(name);
    }
    EXPECT_EQ(
        projections::show(cluster_.catalog(), "by_user").at("sql"),
        "SELECT \"who\" AS \"user_id\", \"number\" AS \"like_id\", upper(content) AS loud FROM likes WHERE \"The Amount\" >= 0");

    cluster_.stop_projections();
    cluster_.connect(0).script("UPDATE public.likes SET content = 'before'");
    alter(0, "RENAME COLUMN content TO said");
    alter(1, "RENAME COLUMN content TO said");
    alter(0, "ADD COLUMN content text DEFAULT 'of another'");
    cluster_.connect(0).script("UPDATE public.likes SET said = 'after' WHERE number % 2 = 0");
    cluster_.start_projections();
    wait_for_column("said", "by_user");
    expect_exact("by_user");
    rebuild("SELECT who AS user_id, number AS like_id, said FROM likes");
    expect_exact("by_user");

    EXPECT_THROW(catalog::ddl(cluster_.catalog(), {"ALTER TABLE likes DROP COLUMN said"}), RefusedError);
    catalog::ddl(cluster_.catalog(), {"ALTER TABLE likes RENAME COLUMN said TO words"});
    wait_for_column("words", "by_user");
    expect_exact("by_user");
}

} // namespace
} // namespace keyshift::test
