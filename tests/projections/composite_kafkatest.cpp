/// INV-PRJ-1 and INV-PRJ-2 of projections of several tables, with everything real.

#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/projections/composite_fixture.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <thread>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

TEST_F(Composite, IsWhatItsSelectGivesWhateverIsWrittenWhileItIsBuiltAndAfter)
{
    const unsigned seed = 11;
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::jthread writing([&] { change(seed, 600); });
    for (const Kind& kind : kKinds) {
        create(kind);
    }
    writing.join();
    ASSERT_TRUE(are_live());
    for (const Kind& kind : kKinds) {
        expect_exact(kind);
    }
    change(seed + 1, 300);
    for (const Kind& kind : kKinds) {
        expect_exact(kind);
    }
    EXPECT_GT(cluster_.rows("TABLE public.feed").size(), 50U);
    EXPECT_EQ(projections::list(cluster_.catalog()).size(), std::size(kKinds)) << "their parts are no projections";
}

TEST_F(Composite, OfARowOneNodeIsEnoughToReadIt)
{
    create(kKinds[0]);
    ASSERT_TRUE(are_live());
    pg::Connection base = cluster_.connect(0);
    for (int user = 1; user <= 20; ++user) {
        for (const std::size_t at : {0U, 1U}) {
            pg::Connection node = cluster_.connect(at);
            const std::string key = std::to_string(user);
            const bool owns = one(node, "SELECT keyshift.owns('public.talk_of_user', '" + key + "')") == "t";
            const std::string rows = one(node, "SELECT count(*) FROM public.talk_of_user WHERE user_id = " + key);
            EXPECT_EQ(rows == "0", !owns) << user;
            if (owns) {
                EXPECT_EQ(rows, one(base, "SELECT count(*) FROM (" + std::string(kKinds[0].sql) +
                                              ") s WHERE user_id = " + key));
            }
        }
    }
}

TEST_F(Composite, AWriteOfAnyOfItsTablesIsReadBehindWaitFor)
{
    create(kKinds[0]);
    ASSERT_TRUE(are_live());
    pg::Connection writer = cluster_.connect(0);
    pg::Connection readers[] = {cluster_.connect(0), cluster_.connect(1)};
    for (int turn = 0; turn < 20; ++turn) {
        const std::string name = "turn" + std::to_string(turn);
        writer.script(turn % 2 == 0 ? "UPDATE public.users SET name = '" + name + "' WHERE user_id = 7"
                                    : "UPDATE public.posts SET content = '" + name + "' WHERE post_id = 7");
        const std::string token = one(writer, "SELECT keyshift.token()");
        int seen = 0;
        for (pg::Connection& reader : readers) {
            reader.script("SELECT keyshift.wait_for('public.talk_of_user', '" + token + "', '30 s')");
            seen += std::stoi(
                one(reader, "SELECT count(*) FROM public.talk_of_user WHERE '" + name + "' IN (reader, content)"));
            EXPECT_EQ(
                one(reader, "SELECT count(*) FROM public.talk_of_user WHERE " +
                                std::string(turn % 2 == 0 ? "user_id = 7 AND reader" : "post_id = 7 AND content") +
                                " <> '" + name + "'"),
                "0");
        }
        EXPECT_GT(seen, 0);
    }
}

TEST_F(Composite, DamageOfAnyPartIsFoundNamedAndRepaired)
{
    create(kKinds[1]);
    ASSERT_TRUE(are_live());
    expect_exact(kKinds[1]);
    cluster_.connect(1).script(
        "UPDATE keyshift.feed__m3__g1 SET kind = 'forged' WHERE talk_id = 31; DELETE FROM keyshift.feed__m3__g1 WHERE talk_id = 32");
    cluster_.connect(0).script("UPDATE keyshift.feed__m1__g1 SET content = 'forged' WHERE post_id = 8; "
                               "UPDATE keyshift.feed__m1__g1 SET content = 'forged' WHERE post_id = 9");
    cluster_.connect(1).script("UPDATE keyshift.feed__m1__g1 SET content = 'forged' WHERE post_id IN (8, 9)");
    const auto found = projections::verify(cluster_.catalog(), "feed", {});
    EXPECT_EQ(found.at("different"), 3) << found.dump(2);
    EXPECT_EQ(found.at("missing"), 1);
    EXPECT_EQ(found.at("tables").at(2).at("table"), "public.talk");
    EXPECT_THAT(found.at("examples").dump(), HasSubstr(R"("node":"n2")"));
    const auto repaired = projections::repair(cluster_.catalog(), "feed", {});
    EXPECT_EQ(repaired.at("repaired"), 4) << repaired.dump(2);
    expect_exact(kKinds[1]);
}

TEST_F(Composite, IsRebuiltUnderWritesAndLeavesNothingWhenItIsDropped)
{
    const std::string before[] = {cluster_.traces(0), cluster_.traces(1)};
    create(kKinds[1]);
    ASSERT_TRUE(are_live());
    std::jthread writing([&] { change(5, 200); });
    projections::rebuild(cluster_.catalog(), "feed", false);
    ASSERT_TRUE(serves("feed", 2, 1));
    writing.join();
    EXPECT_EQ(one(cluster_.catalog(), "SELECT string_agg(name, ' ' ORDER BY name) FROM keyshift.projection"),
              "feed__m5 feed__m6 feed__m7 feed__m8");
    expect_exact(kKinds[1]);
    EXPECT_EQ(projections::show(cluster_.catalog(), "feed").at("generation"), 2);
    pg::Connection node = cluster_.connect(1);
    // The runner of a generation that goes may say once more how far it is.
    node.script("INSERT INTO keyshift.projection_source VALUES ('feed__m1', 1, 'n2', '0/1', 0)");
    node.script("SELECT keyshift.wait_for('public.feed', keyshift.token(), '30 s')");
    EXPECT_THROW(projections::drop(cluster_.catalog(), "feed__m5"), RefusedError);
    projections::drop(cluster_.catalog(), "feed");
    EXPECT_EQ(cluster_.traces(0), before[0]);
    EXPECT_EQ(cluster_.traces(1), before[1]);
    EXPECT_EQ(one(cluster_.catalog(),
                  "SELECT (SELECT count(*) FROM keyshift.projection) + (SELECT count(*) FROM keyshift.composite) "
                  "+ (SELECT count(*) FROM keyshift.table_group WHERE kind = 'projection')"),
              "0");
}

/// Messages of a user, whoever wrote them: one table under two keys, which share its replica identity.
const Kind kBothKeys{
    "conversation", "user_id",
    "SELECT user_id, talk_id, 'wrote' AS how FROM public.talk UNION ALL SELECT asked, talk_id, 'was asked' FROM public.talk"};

TEST_F(Composite, OfOneTableUnderTwoKeysLeavesNothingEither)
{
    cluster_.connect(0).script("UPDATE public.talk SET asked = talk_id % 9");
    const std::string before[] = {cluster_.traces(0), cluster_.traces(1)};
    create(kBothKeys);
    ASSERT_TRUE(are_live());
    cluster_.connect(0).script("UPDATE public.talk SET asked = asked + 1, user_id = user_id + 1 WHERE talk_id % 3 = 0");
    expect_exact(kBothKeys);
    projections::drop(cluster_.catalog(), kBothKeys.name);
    EXPECT_EQ(cluster_.traces(0), before[0]);
    EXPECT_EQ(cluster_.traces(1), before[1]);
}

TEST_F(Composite, ACreateThatWasKilledBeforeTheCatalogKnewOfItIsSimplyRepeated)
{
    const Kind& kind = kKinds[0];
    const std::string before[] = {cluster_.traces(0), cluster_.traces(1)};
    cluster_.stop_projections();
    create(kind);
    cluster_.catalog().script(fmt::format(
        "DELETE FROM keyshift.projection WHERE group_name = '{0}'; DELETE FROM keyshift.composite WHERE name = '{0}'; "
        "DELETE FROM keyshift.captured_table WHERE group_name = '{0}'; DELETE FROM keyshift.bucket WHERE group_name = '{0}'; "
        "DELETE FROM keyshift.bucket_history WHERE group_name = '{0}'; DELETE FROM keyshift.table_group WHERE name = '{0}'",
        kind.name));
    cluster_.start_projections();
    create(kind);
    ASSERT_TRUE(are_live());
    expect_exact(kind);
    projections::drop(cluster_.catalog(), kind.name);
    EXPECT_EQ(cluster_.traces(0), before[0]);
    EXPECT_EQ(cluster_.traces(1), before[1]);
}

TEST_F(Composite, IsPausedResumedAndStartedAgainAsOne)
{
    create(kKinds[2]);
    ASSERT_TRUE(are_live());
    projections::pause(cluster_.catalog(), "activity");
    ASSERT_TRUE(cluster_.wait_until("SELECT bool_and(state = 'paused') FROM keyshift.projection"));
    change(3, 100);
    cluster_.stop_projections();
    cluster_.start_projections();
    EXPECT_EQ(projections::show(cluster_.catalog(), "activity").at("state"), "paused");
    projections::resume(cluster_.catalog(), "activity");
    ASSERT_TRUE(are_live());
    expect_exact(kKinds[2]);
}

std::string refusal(ProjectedCluster& cluster, const std::string& key, const std::string& sql)
{
    try {
        cluster.create("refused", key, sql);
    } catch (const RefusedError& error) {
        return error.parts().why;
    }
    return "accepted";
}

TEST_F(Composite, SaysWhyItCannotBe)
{
    EXPECT_THAT(
        refusal(cluster_, "user_id", "SELECT p.user_id, t.talk_id FROM talk t LEFT JOIN posts p USING (post_id)"),
        HasSubstr("NULL where the LEFT JOIN finds no row, and then no node is its\n"));
    EXPECT_THAT(refusal(cluster_, "talk_id",
                        "SELECT p.user_id, t.talk_id + 1 AS talk_id FROM talk t JOIN posts p USING (post_id)"),
                HasSubstr("not a column of a table"));
    EXPECT_THAT(refusal(cluster_, "user_id", "SELECT p.user_id, t.wrods FROM talk t JOIN posts p USING (post_id)"),
                HasSubstr("no table of the SELECT has a column wrods\n"));
    EXPECT_THAT(
        refusal(cluster_, "user_id", "SELECT p.user_id, post_id FROM talk t JOIN posts p ON p.post_id = t.post_id"),
        HasSubstr("ambiguous"));
    EXPECT_THAT(
        refusal(cluster_, "user_id", "SELECT p.user_id, random() AS r FROM talk t JOIN posts p USING (post_id)"),
        HasSubstr("random changes with time"));
    EXPECT_THAT(
        refusal(cluster_, "user_id", "SELECT user_id, content FROM posts UNION ALL SELECT user_id, talk_id FROM talk"),
        HasSubstr("UNION types text and bigint"));
    EXPECT_EQ(one(cluster_.catalog(), "SELECT count(*) FROM keyshift.projection"), "0");
}

} // namespace
} // namespace keyshift::test
