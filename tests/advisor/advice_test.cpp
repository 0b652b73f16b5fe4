#include "tests/advisor/sample_database.hpp"

#include "core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::advisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Queries = std::vector<std::pair<double, std::string>>;

/// "countries=reference users=user_id ..."
std::string places(const DatabaseStatistics& database, const Queries& queries)
{
    std::string text;
    for (const auto& [name, placement] : choose_placements(database, test::workload(database, queries))) {
        text += (text.empty() ? "" : " ") + name.name + "=" +
                (placement.kind == Placement::Kind::distributed ? placement.key
                 : placement.kind == Placement::Kind::reference ? "reference"
                                                                : "local");
    }
    return text;
}

const Queries kByPost{{100, "SELECT * FROM users WHERE user_id = $1"},
                      {100, "SELECT * FROM posts WHERE user_id = $1"},
                      {500, "SELECT * FROM interactions WHERE post_id = $1"},
                      {50, "SELECT * FROM interactions WHERE user_id = $1"},
                      {20, "INSERT INTO interactions VALUES ($1, $2, $3, $4)"}};

TEST(KeyChoice, GivesEachTableTheKeyThatMostCallsName)
{
    struct Case {
        DatabaseStatistics database;
        Queries queries;
        std::string places;
    };
    const Queries by_user{{100, "SELECT * FROM posts p JOIN users u USING (user_id) WHERE u.user_id = $1"},
                          {500, "SELECT * FROM interactions WHERE user_id = $1"},
                          {50, "SELECT * FROM interactions WHERE post_id = $1"}};
    const std::vector<Case> cases{
        {test::social(), kByPost, "countries=reference interactions=post_id posts=user_id users=user_id"},
        {test::social(), by_user, "countries=reference interactions=user_id posts=user_id users=user_id"},
        {test::social(), {}, "countries=reference interactions=user_id posts=user_id users=user_id"},
        {test::social(false), kByPost, "countries=local interactions=post_id posts=user_id users=user_id"},
    };
    for (const Case& one : cases) {
        EXPECT_EQ(places(one.database, one.queries), one.places);
    }
}

TEST(KeyChoice, ATableThatNobodyJoinsStaysAndALargeOneIsDistributedByItself)
{
    DatabaseStatistics database = test::social();
    const auto settings = test::table("settings", 20, {"name"}, {{"name", "text", 20}});
    const auto events = test::table("events", 90'000'000, {"event_id"}, {{"event_id", "bigint", 9e7}});
    database.tables.emplace(settings.name, settings);
    database.tables.emplace(events.name, events);
    EXPECT_EQ(places(database, kByPost),
              "countries=reference events=event_id interactions=post_id posts=user_id settings=local users=user_id");
}

TEST(KeyChoice, ATableThatIsWrittenOftenIsNoReferenceTable)
{
    Queries queries = kByPost;
    queries.emplace_back(100, "UPDATE countries SET name = $2 WHERE code = $1");
    EXPECT_THAT(places(test::social(), queries), HasSubstr("countries=code"));
}

TEST(KeyChoice, NoKeyIsAColumnOfFewValuesOrWithNullsOrOfAnotherType)
{
    const Queries queries{{100, "SELECT * FROM t WHERE status = $1"},
                          {90, "SELECT * FROM t WHERE parent = $1"},
                          {80, "SELECT * FROM t WHERE at = $1"},
                          {1, "SELECT * FROM t WHERE id = $1"}};
    const DatabaseStatistics database = test::database(
        {test::table("t", 1'000'000, {"id"},
                     {{"id"}, {"status", "text", 5}, {"parent", "bigint", 1e5, 0.5}, {"at", "timestamptz"}})});
    EXPECT_EQ(places(database, queries), "t=id");
    const DatabaseStatistics keyless = test::database({test::table("t", 1'000'000, {}, {{"status", "text", 5}})});
    EXPECT_EQ(places(keyless, {}), "t=local");
}

/// The definitions that these statements need, each as its command's tail.
std::vector<std::string> definitions(const Queries& queries, const DatabaseStatistics& database = test::social())
{
    const Advice advice = advise(database, test::workload(database, queries), std::nullopt);
    std::vector<std::string> found;
    for (const ProjectionNeed& need : advice.projections.projections) {
        found.push_back(need.name + " (" + need.key + "): " + need.sql);
    }
    return found;
}

Queries beside_usual(const std::string& sql)
{
    Queries queries = kByPost;
    queries.erase(queries.begin() + 3);
    queries.emplace_back(1, sql);
    return queries;
}

TEST(ProjectionNeed, EachKindOfStatementGetsItsDefinition)
{
    const std::vector<std::pair<std::string, std::string>> cases{
        {"SELECT content FROM posts WHERE post_id = $1 AND at > $2",
         "posts_by_post_id (post_id): SELECT post_id, user_id, content, at FROM posts"},
        {"SELECT * FROM posts WHERE post_id = $1",
         "posts_by_post_id (post_id): SELECT post_id, user_id, content, at FROM posts"},
        {"UPDATE posts SET content = $2 WHERE post_id = $1",
         "posts_by_post_id (post_id): SELECT post_id, user_id FROM posts"},
        {"SELECT interaction_type, count(*), sum(amount) FROM interactions WHERE user_id = $1 GROUP BY interaction_type",
         "interactions_totals_by_user_id (user_id): SELECT user_id, interaction_type, count(*) AS count, sum(amount) AS "
         "sum_amount FROM interactions GROUP BY user_id, interaction_type"},
        {"SELECT sum(score) FROM interactions WHERE user_id = $1",
         "interactions_by_user_id (user_id): SELECT user_id, post_id, interaction_id, score FROM interactions"},
        {"SELECT count(*) FROM interactions WHERE user_id = $1 AND at > $2",
         "interactions_by_user_id (user_id): SELECT user_id, post_id, interaction_id, at FROM interactions"},
        {"SELECT i.interaction_type, p.content FROM interactions i JOIN posts p ON p.post_id = i.post_id WHERE i.user_id = $1",
         "interactions_posts_by_user_id (user_id): SELECT i.user_id, i.interaction_type, p.post_id, p.content FROM interactions i JOIN "
         "posts p ON p.post_id = i.post_id"},
        {"SELECT i.interaction_type, p.user_id FROM interactions i LEFT JOIN posts p ON p.post_id = i.post_id WHERE i.user_id = $1",
         "interactions_posts_by_user_id (user_id): SELECT i.user_id, i.post_id, i.interaction_type, p.post_id AS p_post_id, p.user_id "
         "AS p_user_id FROM interactions i LEFT JOIN posts p ON p.post_id = i.post_id"},
        {"SELECT user_id, post_id FROM posts WHERE user_id = $1 UNION ALL SELECT user_id, post_id FROM interactions WHERE user_id = $1",
         "posts_interactions_by_user_id (user_id): SELECT user_id, post_id FROM posts UNION ALL SELECT user_id, post_id FROM "
         "interactions"},
    };
    for (const auto& [sql, definition] : cases) {
        EXPECT_THAT(definitions(beside_usual(sql)), ElementsAre(definition)) << sql;
    }
}

/// Of the join that a statement needs.
std::string whole_tables(const std::string& sql)
{
    const DatabaseStatistics database = test::social();
    const Advice advice = advise(database, test::workload(database, beside_usual(sql)), std::nullopt);
    std::string text;
    for (const ProjectionNeed& need : advice.projections.projections) {
        for (const QualifiedName& name : need.whole) {
            text += (text.empty() ? "" : " ") + name.name;
        }
    }
    return text;
}

TEST(ProjectionNeed, AJoinsTablesThatNothingTiesToItsKeyAreNamed)
{
    EXPECT_EQ(whole_tables("SELECT * FROM posts p JOIN interactions i ON i.post_id = p.post_id WHERE p.user_id = $1"),
              "interactions");
    EXPECT_EQ(whole_tables("SELECT * FROM interactions i JOIN users u ON u.user_id = i.user_id WHERE i.user_id = $1"),
              "");
    EXPECT_EQ(
        whole_tables(
            "SELECT * FROM interactions i JOIN users u ON u.user_id = i.user_id JOIN posts p ON p.post_id = i.post_id "
            "WHERE i.user_id = $1"),
        "posts");
    EXPECT_EQ(
        whole_tables("SELECT * FROM interactions i LEFT JOIN users u ON u.user_id = i.user_id WHERE i.user_id = $1"),
        "");
    EXPECT_EQ(whole_tables("SELECT * FROM interactions i, users u WHERE u.user_id = i.user_id AND i.user_id = $1"), "");
}

TEST(ProjectionNeed, StatementsWithOneTableAndKeyShareTheDefinition)
{
    Queries queries = beside_usual("SELECT content FROM posts WHERE post_id = $1");
    queries.emplace_back(1, "SELECT at FROM posts WHERE post_id = $1");
    queries.emplace_back(1, "SELECT max(user_id) FROM posts WHERE post_id = $1");
    EXPECT_THAT(definitions(queries),
                ElementsAre("posts_by_post_id (post_id): SELECT post_id, user_id, content, at FROM posts"));
}

TEST(ProjectionNeed, WhatNoDefinitionServesGetsAReason)
{
    const std::vector<std::pair<std::string, std::string>> cases{
        {"SELECT count(*) FROM posts", "no column is certain to have one value"},
        {"SELECT * FROM interactions WHERE interaction_type = $1", "interaction_type: it has 3 different values"},
        {"INSERT INTO users (name) VALUES ($1)", "say user_id in the INSERT"},
        {"INSERT INTO interactions (post_id, user_id) SELECT 1, user_id FROM users WHERE user_id = $1",
         "write each table by its own key"},
        {"SELECT * FROM posts p RIGHT JOIN interactions i ON p.post_id = i.post_id WHERE i.user_id = $1",
         "none of a projection"},
        {"SELECT * FROM posts p JOIN (SELECT * FROM interactions) i ON p.post_id = i.post_id WHERE p.user_id = $1",
         "none of a projection"},
    };
    for (const auto& [sql, next] : cases) {
        const DatabaseStatistics database = test::social();
        const Advice advice = advise(database, test::workload(database, beside_usual(sql)), std::nullopt);
        EXPECT_THAT(advice.projections.projections, IsEmpty()) << sql;
        ASSERT_EQ(advice.projections.crossings.size(), 1U) << sql;
        EXPECT_THAT(advice.projections.crossings.front().next, HasSubstr(next)) << sql;
    }
}

TEST(Advice, CommandsComeInTheOrderInWhichTheyWork)
{
    const DatabaseStatistics database = test::social();
    const Advice advice = advise(database, test::workload(database, kByPost), std::nullopt);
    EXPECT_THAT(
        commands_of(advice, database, "host=a dbname=b"),
        ElementsAre(
            "keyshift init", "keyshift node add n1 --dsn 'host=a dbname=b'", "keyshift table reference countries",
            "keyshift table distribute users --key user_id",
            "keyshift table distribute posts --key user_id --with users",
            "keyshift table distribute interactions --key post_id",
            "keyshift projection create interactions_by_user_id --key user_id --apply --sql 'SELECT user_id, post_id, "
            "interaction_id, interaction_type, amount, score, at FROM interactions'"));
    EXPECT_EQ(advice.calls, 770);
    EXPECT_EQ(advice.calls_of_one, 720);
}

TEST(Advice, AProjectionWhoseKeyMayBeNullLeavesThoseRowsOut)
{
    const DatabaseStatistics database =
        test::database({test::table("t", 1'000'000, {"id"}, {{"id"}, {"parent", "bigint", 1e5, 0.5}})});
    const Advice advice = advise(
        database,
        test::workload(database, {{9, "SELECT * FROM t WHERE id = $1"}, {1, "SELECT * FROM t WHERE parent = $1"}}),
        std::nullopt);
    EXPECT_EQ(
        commands_of(advice, database, "").back(),
        "keyshift projection create t_by_parent --key parent --apply --skip-null --sql 'SELECT parent, id FROM t'");
    EXPECT_THAT(advice.projections.crossings.front().next, HasSubstr("public.t.parent may be NULL"));
}

TEST(Advice, OddNamesAreQuotedForSqlAndShell)
{
    const DatabaseStatistics database =
        test::database({test::table("order", 1'000'000, {"user"}, {{"user"}, {"It's", "text"}, {"left"}})});
    const Queries queries{{10, R"(SELECT "It's" FROM "order" WHERE "user" = $1)"},
                          {1, R"(SELECT "It's" FROM "order" WHERE "left" = $1)"}};
    const auto commands =
        commands_of(advise(database, test::workload(database, queries), std::nullopt), database, "dbname=b");
    ASSERT_EQ(commands.size(), 4U);
    EXPECT_EQ(commands[2], R"(keyshift table distribute '"order"' --key user)");
    EXPECT_EQ(
        commands[3],
        R"(keyshift projection create order_by_left --key left --apply --sql 'SELECT "left", "user", "It'\''s" FROM "order"')");
}

TEST(Verdict, NoUnlessSizeOrWritesAreBeyondOneMachine)
{
    struct Case {
        std::int64_t bytes;
        std::int64_t memory;
        double written;
        double seconds;
        bool shard;
    };
    constexpr std::int64_t kGiga = 1'000'000'000;
    constexpr double kDay = 86400;
    const std::vector<Case> cases{
        {20 * kGiga, 16 * kGiga, 1e6, 10 * kDay, false},
        {900 * kGiga, 64 * kGiga, 0, 10 * kDay, false},
        {1100 * kGiga, 64 * kGiga, 0, 10 * kDay, true},
        {1100 * kGiga, 512 * kGiga, 0, 10 * kDay, false},  // four times the memory is more
        {200 * kGiga, 64 * kGiga, 4.4e8, 10 * kDay, true}, // 2.2 GB a day
        {20 * kGiga, 64 * kGiga, 4.4e8, kDay, true},       // 5,000 rows a second
        {20 * kGiga, 64 * kGiga, 4.4e8, 60, false},        // a bulk load a minute ago says nothing
    };
    for (const Case& one : cases) {
        DatabaseStatistics database;
        database.bytes = one.bytes;
        database.memory = one.memory;
        database.seconds = one.seconds;
        TableStatistics table;
        table.name = {"public", "t"};
        table.bytes = one.bytes;
        table.rows = 4'000'000'000;
        table.inserted = static_cast<std::int64_t>(one.written);
        database.tables.emplace(table.name, table);
        const Verdict verdict = judge(database, std::nullopt);
        EXPECT_EQ(verdict.shard, one.shard) << ::testing::PrintToString(verdict.why);
        EXPECT_GE(verdict.nodes, one.shard ? 2 : 1);
    }
}

TEST(QueryFile, HasOneStatementPerSemicolonWithItsCalls)
{
    const QueryLog log = read_query_file(
        "q.sql", "-- calls: 1200\nSELECT 'a;b';\n\n-- of a user\n-- calls: 3.5\nSELECT 2 -- two\n;\nSELECT 3");
    ASSERT_EQ(log.queries.size(), 3U);
    EXPECT_EQ(log.queries[0].text, "SELECT 'a;b'");
    EXPECT_EQ(log.queries[0].calls, 1200);
    EXPECT_EQ(log.queries[1].calls, 3.5);
    EXPECT_EQ(log.queries[2].text, "SELECT 3");
    EXPECT_EQ(log.queries[2].calls, 1);
}

TEST(QueryFile, RefusesWithTheLine)
{
    for (const auto& [text, what] : std::vector<std::pair<std::string, std::string>>{
             {"SELECT 1;\n-- calls: many\nSELECT 2;", "reading q.sql, line "},
             {"SELECT 1;\nSELECT 'open", "reading q.sql, line 2"},
             {"-- nothing\n", "reading q.sql"}}) {
        try {
            static_cast<void>(read_query_file("q.sql", text));
            ADD_FAILURE() << text;
        } catch (const Error& error) {
            EXPECT_THAT(error.parts().what, HasSubstr(what));
            EXPECT_FALSE(error.parts().next.empty());
            EXPECT_EQ(error.kind(), ErrorKind::usage);
        }
    }
}

} // namespace
} // namespace keyshift::advisor
