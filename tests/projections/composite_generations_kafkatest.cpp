/// Other definitions of projections of several tables, with everything real.

#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/projections/composite_fixture.hpp"

#include <gmock/gmock.h>

#include <thread>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

/// Other columns, one table less, and rows that only this one shows.
const Kind kOtherFeed{
    "feed", "author",
    "SELECT p.user_id AS author, t.words, p.post_id, t.talk_id, trim_scale(p.stars) AS stars FROM public.posts p "
    "LEFT JOIN public.talk t ON t.post_id = p.post_id AND t.kind = 'comment'"};

TEST_F(Composite, GetsAnotherDefinitionUnderWritesAndGoesBackAndForthWithAllOfThem)
{
    const std::string before[] = {cluster_.traces(0), cluster_.traces(1)};
    create(kKinds[1]);
    ASSERT_TRUE(are_live());
    cluster_.connect(0).script("GRANT SELECT ON public.feed TO pg_monitor");
    std::jthread writing([&] { change(7, 300); });
    rebuild(kOtherFeed, 3600);
    EXPECT_THROW(rebuild(kOtherFeed, 3600), RefusedError) << "one at a time";
    cluster_.stop_projections(); // and the next daemon goes on with it
    cluster_.start_projections();
    ASSERT_TRUE(serves("feed", 2, 2));
    pg::Connection node = cluster_.connect(0);
    EXPECT_EQ(one(node, "SELECT has_table_privilege('pg_monitor', 'public.feed', 'SELECT')"), "t") << "grants stay";
    writing.join();
    expect_exact(kOtherFeed);
    const auto shown = projections::show(cluster_.catalog(), "feed");
    EXPECT_EQ(shown.at("previous").at("generation"), 1);
    EXPECT_EQ(shown.at("previous").at("state"), "live");
    EXPECT_EQ(shown.at("sql"), kOtherFeed.sql);
    change(8, 100);
    projections::rollback(cluster_.catalog(), "feed", false);
    ASSERT_TRUE(serves("feed", 1, 2));
    expect_exact(kKinds[1]);
    node.script("UPDATE public.users SET name = 'late'");
    node.script("SELECT keyshift.wait_for('public.feed', keyshift.token(), '30 s')");
    EXPECT_EQ(cluster_.rows("SELECT DISTINCT author_name FROM public.feed WHERE author_name <> 'late'").size(), 0U);
    projections::rollback(cluster_.catalog(), "feed", false);
    ASSERT_TRUE(serves("feed", 2, 2));
    expect_exact(kOtherFeed);
    cluster_.catalog().script("UPDATE keyshift.composite SET keep_until = now() WHERE NOT serving");
    ASSERT_TRUE(serves("feed", 2, 1));
    EXPECT_THROW(projections::rollback(cluster_.catalog(), "feed", false), RefusedError);
    expect_exact(kOtherFeed);
    projections::drop(cluster_.catalog(), "feed");
    EXPECT_EQ(cluster_.traces(0), before[0]);
    EXPECT_EQ(cluster_.traces(1), before[1]);
}

TEST_F(Composite, StaysAsItIsWhereAnotherDefinitionCannotTakeItsPlace)
{
    create(kKinds[1]);
    ASSERT_TRUE(are_live());
    EXPECT_THROW(rebuild({"feed", "user_id", "SELECT user_id, post_id FROM public.posts"}, 0), RefusedError)
        << "one table";
    EXPECT_THROW(
        rebuild({"feed", "name", "SELECT a.name, p.post_id FROM public.users a JOIN public.posts p USING (user_id)"},
                0),
        RefusedError)
        << "a key of another type";
    cluster_.connect(1).script("CREATE VIEW public.readers AS SELECT reader FROM public.feed");
    EXPECT_THROW(rebuild(kOtherFeed, 0), RefusedError) << "a view reads a column that goes";
    cluster_.connect(1).script("DROP VIEW public.readers");
    cluster_.stop_projections();
    rebuild(kOtherFeed, 0);
    cluster_.connect(1).script("CREATE VIEW public.readers AS SELECT reader FROM public.feed");
    cluster_.start_projections();
    ASSERT_TRUE(cluster_.wait_until("SELECT error IS NOT NULL FROM keyshift.composite WHERE NOT serving"));
    const auto shown = projections::show(cluster_.catalog(), "feed");
    EXPECT_EQ(shown.at("generation"), 1);
    EXPECT_EQ(shown.at("state"), "live");
    EXPECT_EQ(shown.at("rebuild").at("state"), "failed");
    EXPECT_THAT(shown.at("rebuild").at("error").dump(), HasSubstr("public.readers"));
    expect_exact(kKinds[1]);
    cluster_.connect(1).script("DROP VIEW public.readers");
    rebuild(kOtherFeed, 0);
    ASSERT_TRUE(serves("feed", 2, 1));
    expect_exact(kOtherFeed);
}

} // namespace
} // namespace keyshift::test
