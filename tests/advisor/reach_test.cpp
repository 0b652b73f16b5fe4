#include "tests/advisor/sample_database.hpp"

#include <gtest/gtest.h>

namespace keyshift::advisor {
namespace {

/// users and posts by user_id, together; interactions by post_id; countries everywhere.
Placements placed()
{
    using Kind = Placement::Kind;
    return {{{"public", "users"}, {Kind::distributed, "user_id", "u", ""}},
            {{"public", "posts"}, {Kind::distributed, "user_id", "u", ""}},
            {{"public", "interactions"}, {Kind::distributed, "post_id", "p", ""}},
            {{"public", "countries"}, {Kind::reference, "", "", ""}}};
}

/// "one", "keys", "all", or why it is not read.
std::string reach_of(const std::string& sql)
{
    const DatabaseStatistics database = test::social();
    const ReadStatement read = read_statement(sql, database.tables);
    if (!read.statement) {
        return read.why;
    }
    const Reach found = reach(*read.statement, bindings_of(*read.statement), placed()).reach;
    return found == Reach::one ? "one" : found == Reach::keys ? "keys" : "all";
}

TEST(Reach, AStatementThatGivesTheKeyAValueAsksOneShard)
{
    for (
        const char* sql :
        {"SELECT * FROM posts WHERE user_id = $1", "SELECT * FROM posts p WHERE $1::uuid = p.user_id AND at > now()",
         "SELECT * FROM posts WHERE user_id = '7'", "SELECT count(*) FROM interactions WHERE post_id IN ($1)",
         "SELECT * FROM posts p JOIN users u ON u.user_id = p.user_id WHERE p.user_id = $1",
         "SELECT * FROM posts p JOIN users u USING (user_id) WHERE u.user_id = $1",
         "SELECT * FROM users u LEFT JOIN posts p ON p.user_id = u.user_id WHERE u.user_id = $1",
         "SELECT * FROM users u, posts p WHERE p.user_id = $1 AND u.user_id = $1",
         "SELECT * FROM users u WHERE user_id = $1 AND EXISTS (SELECT FROM posts p WHERE p.user_id = u.user_id)",
         "WITH mine AS (SELECT * FROM posts WHERE user_id = $1) SELECT * FROM mine",
         "SELECT * FROM posts p JOIN users u USING (user_id) JOIN countries c ON c.code = u.country WHERE user_id = $1 AND p.user_id = $1",
         "SELECT * FROM countries", "UPDATE posts SET content = $2 WHERE (user_id, post_id) = ($1, $3)",
         "DELETE FROM interactions WHERE post_id = $1", "INSERT INTO users (user_id, name) VALUES ($1, $2)",
         "INSERT INTO users VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
         "UPDATE posts p SET content = u.name FROM users u WHERE u.user_id = p.user_id AND p.user_id = $1",
         "SELECT * FROM interactions WHERE post_id = $1 AND user_id = $2 UNION ALL SELECT * FROM interactions WHERE post_id = $1"}) {
        EXPECT_EQ(reach_of(sql), "one") << sql;
    }
}

TEST(Reach, AListOfKeysAsksTheShardOfEach)
{
    for (const char* sql :
         {"SELECT * FROM posts WHERE user_id = ANY($1)", "SELECT * FROM posts WHERE user_id IN ($1, $2)",
          "SELECT * FROM posts WHERE user_id IN ($1 /*, ... */)", "INSERT INTO users (user_id) VALUES ($1), ($2)"}) {
        EXPECT_EQ(reach_of(sql), "keys") << sql;
    }
}

TEST(Reach, EverythingElseAsksAll)
{
    for (const char* sql :
         {"SELECT * FROM posts", "SELECT * FROM posts WHERE post_id = $1", "SELECT * FROM posts WHERE user_id > $1",
          "SELECT * FROM posts WHERE user_id = $1 OR post_id = $2", "SELECT * FROM posts WHERE NOT (user_id = $1)",
          "SELECT * FROM posts WHERE user_id <> $1",
          "SELECT * FROM posts p JOIN interactions i USING (post_id) WHERE p.user_id = $1 AND i.post_id = $2",
          "SELECT * FROM users u, posts p WHERE p.user_id = $1 AND u.user_id = $2",
          "SELECT * FROM interactions i WHERE post_id = $1 AND EXISTS (SELECT FROM users WHERE user_id = i.user_id)",
          "INSERT INTO users (name) VALUES ($1)", "INSERT INTO users (user_id) VALUES (gen_random_uuid())",
          "INSERT INTO users (user_id) VALUES (DEFAULT)", "UPDATE posts SET user_id = $1 WHERE user_id = $2",
          // The condition of an outer join chooses rows of its inner side alone.
          "SELECT * FROM users u LEFT JOIN posts p ON p.user_id = u.user_id AND u.user_id = $1",
          "SELECT * FROM users u LEFT JOIN posts p ON p.user_id = u.user_id AND p.user_id = $1",
          "SELECT * FROM users u LEFT JOIN posts p ON u.user_id = p.user_id AND p.user_id = $1",
          "SELECT * FROM posts p RIGHT JOIN users u USING (user_id) WHERE p.post_id = $1",
          "SELECT * FROM users u FULL JOIN posts p ON p.user_id = u.user_id AND u.user_id = $1"}) {
        EXPECT_EQ(reach_of(sql), "all") << sql;
    }
}

TEST(Reach, WhatCannotBeReadIsSaid)
{
    EXPECT_EQ(reach_of("SELEC 1"), "syntax error at or near \"SELEC\"");
    EXPECT_EQ(reach_of("SELECT * FROM nowhere"), "it names nowhere, which is no table here");
    EXPECT_EQ(reach_of("MERGE INTO posts USING users ON true WHEN MATCHED THEN DELETE"), "MERGE is not read");
    EXPECT_EQ(reach_of("COPY posts TO STDOUT"), "COPY is not read");
    EXPECT_EQ(reach_of("DECLARE c CURSOR FOR SELECT * FROM posts"), "a cursor is not read");
    EXPECT_EQ(reach_of(""), "its text is gone");
    EXPECT_EQ(reach_of("SELECT 1"), "it touches no table");
    EXPECT_EQ(reach_of("SELECT * FROM pg_class"), "it touches no table");
    EXPECT_EQ(reach_of("BEGIN"), "it touches no table");
}

} // namespace
} // namespace keyshift::advisor
