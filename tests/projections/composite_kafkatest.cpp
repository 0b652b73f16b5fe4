/// INV-PRJ-1 and INV-PRJ-2 of projections of several tables, with everything real.

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "tests/projections/projected_cluster.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <random>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

const char* const kTables = R"(
CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL, boss_id bigint);
CREATE TABLE public.posts (user_id bigint, post_id bigint, content text, stars numeric, PRIMARY KEY (user_id, post_id));
CREATE TABLE public.talk (post_id bigint, talk_id bigint, user_id bigint NOT NULL, kind text, words text, asked bigint NOT NULL DEFAULT 3, PRIMARY KEY (post_id, talk_id));
INSERT INTO public.users SELECT i, 'user ' || i, nullif(i % 5, 0) FROM generate_series(1, 20) i;
INSERT INTO public.posts SELECT i % 20 + 1, i, 'post ' || i, i FROM generate_series(1, 60) i;
INSERT INTO public.talk SELECT i % 70, i, i % 23 + 1, CASE i % 3 WHEN 0 THEN 'like' WHEN 1 THEN 'comment' END, 'words ' || i
FROM generate_series(1, 300) i)";

struct Kind {
    const char* name;
    const char* key;
    const char* sql;
};
const Kind kKinds[] = {
    {"talk_of_user", "user_id",
     "SELECT t.user_id, t.talk_id, t.post_id, coalesce(t.kind, 'none') AS kind, p.content, a.name AS author, u.name AS reader, "
     "b.name AS boss FROM public.talk t LEFT JOIN public.posts p ON p.post_id = t.post_id LEFT JOIN public.users a ON a.user_id = p.user_id "
     "JOIN public.users u ON u.user_id = t.user_id LEFT JOIN public.users b ON b.user_id = u.boss_id "
     "WHERE t.kind IS DISTINCT FROM 'like' OR p.content LIKE '%1%'"},
    {"feed", "author",
     "SELECT p.user_id AS author, a.name AS author_name, p.post_id, p.content, t.talk_id, t.kind, u.name AS reader FROM public.posts p "
     "JOIN public.users a USING (user_id) LEFT JOIN public.talk t ON t.post_id = p.post_id LEFT JOIN public.users u ON u.user_id = t.user_id"},
    {"activity", "user_id",
     "SELECT user_id, post_id, 'post' AS what, content, NULL::bigint AS talk_id FROM public.posts UNION ALL "
     "SELECT t.user_id, t.post_id, t.kind, t.words || ' of ' || u.name, t.talk_id FROM public.talk t JOIN public.users u USING (user_id)"},
    {"post_talk", "user_id",
     "SELECT p.user_id, p.post_id, p.content, count(t.talk_id) AS talks, count(*) FILTER (WHERE t.kind = 'like') AS likes, "
     "max(t.talk_id) AS newest, trim_scale(sum(p.stars)) AS stars FROM public.posts p LEFT JOIN public.talk t ON t.post_id = p.post_id "
     "GROUP BY p.user_id, p.post_id, p.content HAVING count(*) < 40"},
};

/// Writes of every kind: parents before and behind their children, both sides' keys, deletes and what comes again.
std::string random_change(std::mt19937& random)
{
    const auto any = [&](unsigned below) {
        return std::to_string(random() % below);
    };
    const std::string changes[] = {
        "INSERT INTO public.talk VALUES (" + any(80) + ", " + any(400) + ", 1 + " + any(25) + ", 'like', 'w" + any(9) +
            "') ON CONFLICT DO NOTHING",
        "DELETE FROM public.talk WHERE talk_id = " + any(400),
        "UPDATE public.talk SET user_id = 1 + " + any(25) + " WHERE talk_id = " + any(400),
        "UPDATE public.talk SET kind = CASE WHEN kind IS NULL THEN 'like' END, words = 'w" + any(99) +
            "' WHERE talk_id = " + any(400),
        "UPDATE public.posts SET content = 'post' || " + any(999) + ", stars = " + any(99) +
            " / 4.0 WHERE post_id = " + any(80),
        "UPDATE public.posts SET user_id = 1 + " + any(25) + " WHERE post_id = " + any(80),
        "INSERT INTO public.posts VALUES (1 + " + any(25) + ", " + any(80) + ", 'again', 1) ON CONFLICT DO NOTHING",
        "DELETE FROM public.posts WHERE post_id = " + any(80),
        "UPDATE public.users SET name = 'name" + any(999) + "', boss_id = nullif(" + any(25) +
            ", 0) WHERE user_id = " + any(25),
        "DELETE FROM public.users WHERE user_id = " + any(25),
        "INSERT INTO public.users VALUES (1 + " + any(25) + ", 'back', 3) ON CONFLICT DO NOTHING"};
    return changes[random() % std::size(changes)];
}

class Composite : public testing::Test {
protected:
    Composite()
    {
        cluster_.connect(0).script(kTables);
        cluster_.distribute("users", "user_id");
        cluster_.distribute("posts", "user_id");
        cluster_.distribute("talk", "post_id");
    }

    void change(unsigned seed, int times)
    {
        pg::Connection node = cluster_.connect(0);
        std::mt19937 random(seed);
        for (int turn = 0; turn < times; ++turn) {
            try {
                node.script(random_change(random));
            } catch (const pg::SqlError& error) {
                ASSERT_EQ(error.sqlstate(), "23505") << error.what(); // a post of this author is there
            }
        }
    }

    static std::string shown(const std::string& from) { return "SELECT r::text FROM (" + from + ") r"; }

    /// Its rows over both nodes are those of its SELECT, which one node can answer here.
    void expect_exact(const Kind& kind)
    {
        pg::Connection node = cluster_.connect(0);
        std::vector<std::string> wanted;
        const pg::Result rows = node.query(shown(kind.sql));
        for (int row = 0; row < rows.rows(); ++row) {
            wanted.emplace_back(rows.text(row, 0));
        }
        std::sort(wanted.begin(), wanted.end());
        const std::string view = std::string("TABLE public.") + kind.name;
        EXPECT_EQ(cluster_.rows_once(shown(view), wanted), wanted) << kind.name;
        EXPECT_EQ(cluster_.verify(kind.name), "0/0/0") << kind.name;
    }

    void create(const Kind& kind) { cluster_.create(kind.name, kind.key, kind.sql); }
    bool are_live() { return cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.shown_projection"); }

    ProjectedCluster cluster_;
};

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
    ASSERT_TRUE(
        cluster_.wait_until("SELECT count(*) = count(DISTINCT name) AND min(generation) = 2 AND bool_and(serving) "
                            "AND min(state) = 'live' FROM keyshift.projection"));
    writing.join();
    expect_exact(kKinds[1]);
    EXPECT_EQ(projections::show(cluster_.catalog(), "feed").at("generation"), 2);
    pg::Connection node = cluster_.connect(1);
    // The runner of a generation that goes may say once more how far it is.
    node.script("INSERT INTO keyshift.projection_source VALUES ('feed__m1', 1, 'n2', '0/1', 0)");
    node.script("SELECT keyshift.wait_for('public.feed', keyshift.token(), '30 s')");
    EXPECT_THROW(projections::drop(cluster_.catalog(), "feed__m1"), RefusedError);
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
