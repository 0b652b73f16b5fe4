#include "advisor/advisor.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/test_servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace keyshift::advisor {
namespace {

using ::keyshift::test::PrivatePostgres;
using ::keyshift::test::TemporaryDirectory;
using ::keyshift::test::TestDatabase;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr const char* kSchema = R"(
CREATE TABLE public.countries (code text PRIMARY KEY, name text);
CREATE TABLE public.users (user_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, country text REFERENCES public.countries);
CREATE TABLE public.posts (post_id int PRIMARY KEY, user_id uuid NOT NULL REFERENCES public.users, content text);
CREATE TABLE public.interactions (interaction_id int PRIMARY KEY, post_id int NOT NULL REFERENCES public.posts,
    user_id uuid NOT NULL REFERENCES public.users, kind text, amount numeric);
CREATE TABLE public.old (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE public.old_1 PARTITION OF public.old FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO public.countries SELECT 'c' || i, 'country' FROM generate_series(1, 50) i;
INSERT INTO public.users SELECT md5(i::text)::uuid, 'user', 'c' || 1 + i % 50 FROM generate_series(1, 500) i;
INSERT INTO public.posts SELECT i, md5((1 + i % 500)::text)::uuid, 'post' FROM generate_series(1, 2000) i;
INSERT INTO public.interactions SELECT i, 1 + i % 2000, md5((1 + i % 499)::text)::uuid, 'like', 1 FROM generate_series(1, 8000) i;
UPDATE public.users SET name = 'another' WHERE country = 'c1';
DELETE FROM public.interactions WHERE interaction_id > 7990;
ANALYZE)";

constexpr const char* kQueries = R"(-- calls: 1000
SELECT * FROM users u JOIN posts p USING (user_id) WHERE u.user_id = $1;
-- calls: 3000
SELECT kind FROM interactions WHERE post_id = $1;
-- calls: 100
SELECT kind, amount FROM interactions WHERE user_id = $1;
SELECT * FROM gone;
COMMIT;
)";

Json of_table(const Json& advice, const std::string& name)
{
    const auto found = std::find_if(advice["tables"].begin(), advice["tables"].end(),
                                    [&](const Json& table) { return table["table"] == name; });
    return found == advice["tables"].end() ? Json() : *found;
}

TEST(Advise, ReadsAServerAndAFileAndItsFixesMakeTheKeysPossible)
{
    const TestDatabase database;
    const TemporaryDirectory directory;
    pg::Connection connection = database.connect();
    connection.script(kSchema);
    const AdviseRequest request{"dbname=app", directory.write("q.sql", kQueries), std::nullopt};
    const Json advice = advise(connection, request);
    EXPECT_EQ(advice["verdict"]["shard"], false);
    EXPECT_EQ(of_table(advice, "public.users")["key"], "user_id");
    EXPECT_EQ(of_table(advice, "public.posts")["with"], "public.users");
    EXPECT_EQ(of_table(advice, "public.interactions")["key"], "post_id");
    EXPECT_EQ(of_table(advice, "public.interactions")["rows"], 7990);
    EXPECT_EQ(of_table(advice, "public.countries")["place"], "reference");
    EXPECT_EQ(of_table(advice, "public.old")["place"], "local");
    EXPECT_EQ(of_table(advice, "public.old_1"), Json());
    EXPECT_EQ(advice["workload"]["calls"], 4100);
    EXPECT_EQ(advice["workload"]["without_tables"], 1);
    ASSERT_EQ(advice["workload"]["unread"].size(), 1U);
    EXPECT_THAT(advice["workload"]["unread"][0]["why"].get<std::string>(), HasSubstr("gone"));
    ASSERT_EQ(advice["cross_shard"].size(), 1U);
    EXPECT_EQ(advice["cross_shard"][0]["projection"], "interactions_by_user_id");
    // Both foreign keys of interactions, and the two primary keys that lack the shard key.
    EXPECT_EQ(advice["fixes"].size(), 4U) << advice["fixes"].dump(1);
    connection.script("SET search_path = pg_catalog");
    for (const Json& fix : advice["fixes"]) {
        connection.script(fix["fix"].get<std::string>());
    }
    const Json after = advise(connection, request);
    EXPECT_THAT(after["fixes"], IsEmpty()) << after["fixes"].dump(1);
    EXPECT_EQ(after["projections"], advice["projections"]);
}

TEST(Advise, CountsWhatWasWrittenSinceTheCountersBegan)
{
    const TestDatabase database;
    {
        pg::Connection writer = database.connect();
        writer.script(kSchema);
    }
    pg::Connection connection = database.connect();
    // A session that ends hands its counters over.
    std::int64_t written = 0;
    for (int attempt = 0; attempt < 300 && written != 8010; ++attempt) {
        connection.script("SELECT pg_stat_clear_snapshot(), pg_sleep(0.1)");
        written =
            of_table(advise(connection, {"dbname=app", std::nullopt, std::nullopt}), "public.interactions")["written"];
    }
    EXPECT_EQ(written, 8010);
}

TEST(Advise, WithoutStatementsSaysHowToGetThemAndGoesByForeignKeys)
{
    const TestDatabase database;
    pg::Connection connection = database.connect();
    connection.script(kSchema);
    const Json advice = advise(connection, {"dbname=app", std::nullopt, std::nullopt});
    EXPECT_EQ(advice["workload"]["from"], Json());
    EXPECT_THAT(advice["workload"]["missing"].get<std::string>(), HasSubstr("CREATE EXTENSION pg_stat_statements"));
    EXPECT_EQ(of_table(advice, "public.interactions")["key"], "user_id");
    EXPECT_EQ(of_table(advice, "public.interactions")["with"], "public.users");
}

TEST(Advise, ReadsPgStatStatementsAndSaysWhatItMayNotSee)
{
    PrivatePostgres server({"shared_preload_libraries = 'pg_stat_statements'"});
    pg::Connection connection(server.settings());
    connection.script("CREATE SCHEMA tools; CREATE EXTENSION pg_stat_statements SCHEMA tools");
    connection.script(kSchema);
    connection.script("SELECT tools.pg_stat_statements_reset()");
    for (int call = 0; call < 7; ++call) {
        connection.query("SELECT kind FROM public.interactions WHERE post_id = " + std::to_string(call));
    }
    for (int call = 0; call < 2; ++call) {
        connection.query("SELECT content FROM public.posts WHERE post_id = $1::int", {std::to_string(call)});
        connection.query("SELECT name FROM public.users WHERE user_id = md5($1)::uuid", {std::to_string(call)});
        connection.query("SELECT content FROM public.posts WHERE user_id = md5($1)::uuid", {std::to_string(call)});
        connection.query(
            "SELECT name FROM public.users u JOIN public.posts p USING (user_id) WHERE u.user_id = md5($1)::uuid",
            {std::to_string(call)});
    }
    connection.query("SELECT content FROM public.posts WHERE user_id IN ('00000000-0000-0000-0000-000000000001', "
                     "'00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000003')");
    const Json advice = advise(connection, {"dbname=postgres", std::nullopt, std::nullopt});
    EXPECT_EQ(advice["workload"]["from"], "pg_stat_statements");
    EXPECT_GT(advice["workload"]["shard_of_each_key"], 0);
    EXPECT_EQ(of_table(advice, "public.interactions")["calls"], 7);
    EXPECT_EQ(of_table(advice, "public.interactions")["key"], "post_id");
    EXPECT_EQ(of_table(advice, "public.posts")["key"], "user_id");
    ASSERT_EQ(advice["cross_shard"].size(), 1U) << advice["cross_shard"].dump(1);
    EXPECT_EQ(advice["cross_shard"][0]["calls"], 2);
    EXPECT_EQ(advice["cross_shard"][0]["projection"], "posts_by_post_id");

    connection.script("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA tools TO reader");
    pg::Connection reader({"private", server.conninfo() + " user=reader", "", "test"});
    const Json seen = advise(reader, {"dbname=postgres", std::nullopt, std::nullopt});
    EXPECT_GE(seen["workload"]["hidden_calls"].get<double>(), 15);
}

TEST(Advise, AnExtensionWhoseLibraryIsNotLoadedIsSaid)
{
    PrivatePostgres server;
    pg::Connection connection(server.settings());
    connection.script("CREATE EXTENSION pg_stat_statements SCHEMA public");
    connection.script(kSchema);
    const Json advice = advise(connection, {"dbname=postgres", std::nullopt, std::nullopt});
    EXPECT_THAT(advice["workload"]["missing"].get<std::string>(), HasSubstr("not loaded"));
}

TEST(Advise, ADatabaseWithoutTablesIsRefused)
{
    const TestDatabase database;
    pg::Connection connection = database.connect();
    try {
        advise(connection, {"dbname=app", std::nullopt, std::nullopt});
        ADD_FAILURE() << "accepted";
    } catch (const RefusedError& error) {
        EXPECT_THAT(error.parts().why, HasSubstr("no table"));
        EXPECT_FALSE(error.parts().next.empty());
    }
}

} // namespace
} // namespace keyshift::advisor
