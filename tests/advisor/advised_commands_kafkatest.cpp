/// What `keyshift advise` prints is pasted into a shell, against real servers.

#include "tests/daemon/installation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr const char* kQueries = R"(-- calls: 1000
SELECT p.content, u.name FROM posts p JOIN users u USING (user_id) WHERE p.user_id = $1;
-- calls: 3000
SELECT "Kind" FROM interactions WHERE post_id = $1;
-- calls: 100
SELECT content FROM posts WHERE post_id = $1;
-- calls: 90
SELECT count(*), sum(amount) FROM interactions WHERE user_id = $1 AND "Kind" = 'like';
-- calls: 50
SELECT p.content, i."Kind", u.name, c.name FROM posts p JOIN interactions i ON i.post_id = p.post_id
    LEFT JOIN users u ON u.user_id = i.user_id LEFT JOIN countries c ON c.code = u.country WHERE p.user_id = $1;
-- calls: 10
SELECT user_id, post_id, content FROM posts WHERE user_id = $1 UNION ALL SELECT user_id, post_id, "Kind" FROM interactions WHERE user_id = $1;
)";

Finished pasted(const Installation& installation, const std::string& command)
{
    const std::string functions =
        "keyshift() { '" + keyshift_binary() + "' --config '" + installation.config_file() + "' \"$@\"; }\n";
    return run_program({"/bin/bash", "-c", functions + command});
}

/// Of which tables every node keeps all rows, as `projection create` plans it.
std::set<std::string> whole_tables(const Installation& installation, const std::string& command)
{
    const Json plan = Json::parse(pasted(installation, command + " --dry-run -o json").out);
    std::set<std::string> whole;
    for (const Json& table : plan.value("tables", Json::array())) {
        if (table["rows"].get<std::string>().starts_with("all of them")) {
            whole.insert(table["base"]);
        }
    }
    return whole;
}

TEST(AdvisedCommands, WorkAsTheyArePrintedAndLeaveNothingToAdvise)
{
    Installation installation;
    pg::Connection connection = installation.connect();
    connection.script(R"(
        CREATE TABLE public.countries (code text PRIMARY KEY, name text);
        CREATE TABLE public.users (user_id uuid PRIMARY KEY, name text, country text REFERENCES public.countries);
        CREATE TABLE public.posts (post_id int PRIMARY KEY, user_id uuid NOT NULL REFERENCES public.users, content text);
        CREATE TABLE public.interactions (interaction_id int PRIMARY KEY, post_id int NOT NULL REFERENCES public.posts,
            user_id uuid REFERENCES public.users, "Kind" text NOT NULL, amount numeric);
        INSERT INTO public.countries SELECT 'c' || i, 'country' FROM generate_series(1, 50) i;
        INSERT INTO public.users SELECT md5(i::text)::uuid, 'user', 'c' || 1 + i % 50 FROM generate_series(1, 200) i;
        INSERT INTO public.posts SELECT i, md5((1 + i % 200)::text)::uuid, 'post' FROM generate_series(1, 1000) i;
        INSERT INTO public.interactions SELECT i, 1 + i % 1000, md5((1 + i % 199)::text)::uuid, 'like', 1 FROM generate_series(1, 2000) i;
        UPDATE public.interactions SET user_id = NULL WHERE interaction_id = 1;
        ANALYZE)");
    const std::string file = installation.directory().write("q.sql", kQueries);
    const Json advice = installation.json({"advise", "--queries", file});
    ASSERT_EQ(advice["projections"].size(), 4U) << advice.dump(1);
    EXPECT_EQ(advice["projections"][2]["whole_on_every_node"], Json::array({"public.interactions", "public.users"}));
    // By post_id, in order of calls; then totals by user_id, which is NULL in one row.
    EXPECT_EQ(advice["projections"][0]["nullable_key"], Json::array());
    EXPECT_EQ(advice["projections"][1]["nullable_key"], Json::array({"public.interactions.user_id"}));
    const Finished shown = installation.keyshift({"advise", "--queries", file});
    EXPECT_EQ(shown.status, 0) << shown.err;
    EXPECT_THAT(shown.out, HasSubstr("No: one machine is enough."));
    for (const Json& fix : advice["fixes"]) {
        EXPECT_THAT(shown.out, HasSubstr("\n" + fix["fix"].get<std::string>() + "\n"));
        connection.script(fix["fix"].get<std::string>());
    }
    for (const Json& command : advice["commands"]) {
        EXPECT_THAT(shown.out, HasSubstr("\n" + command.get<std::string>() + "\n"));
        for (const Json& projection : advice["projections"]) {
            if (command.get<std::string>().find(" create " + projection["name"].get<std::string>() + " ") !=
                std::string::npos) {
                EXPECT_EQ(Json(whole_tables(installation, command)), projection["whole_on_every_node"]) << command;
            }
        }
        const Finished done = pasted(installation, command);
        EXPECT_EQ(done.status, 0) << command << done.err;
    }
    const Json after = installation.json({"advise", "--queries", file});
    EXPECT_THAT(after["commands"], IsEmpty());
    EXPECT_THAT(after["fixes"], IsEmpty());
    EXPECT_EQ(after["workload"]["one_shard"], advice["workload"]["one_shard"]);
    EXPECT_THAT(installation.json({"doctor"}), IsEmpty());

    installation.start_daemon();
    EXPECT_TRUE(comes_true(
        [&] {
            const Json list = installation.json({"projection", "list"});
            return list.size() >= 4 &&
                   std::all_of(list.begin(), list.end(), [](const Json& one) { return one["state"] == "live"; });
        },
        120));
    const auto rows = [&](const std::string& query) {
        return connection.query(query).integer(0, 0);
    };
    EXPECT_EQ(rows("SELECT sum(count)::bigint FROM public.interactions_totals_by_user_id WHERE \"Kind\" = 'like'"),
              1999);
    EXPECT_EQ(rows("SELECT count(*) FROM public.posts_by_post_id"), 1000);
    EXPECT_EQ(rows("SELECT count(*) FROM public.posts_interactions_users_by_user_id"), 2000);
    EXPECT_EQ(rows("SELECT count(*) FROM public.posts_interactions_by_user_id"), 2999);
}

TEST(AdvisedCommands, NeedNoCatalogAndNoConfiguration)
{
    const TestDatabase database;
    database.connect().script("CREATE TABLE public.t (id int PRIMARY KEY)");
    const TemporaryDirectory directory;
    const Finished done = run_program({keyshift_binary(), "advise", "--dsn", database.conninfo()});
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_THAT(done.out, HasSubstr("public.t"));
    const Finished refused = run_program(
        {keyshift_binary(), "advise", "--dsn", database.conninfo(), "--queries", directory.path() + "/none.sql"});
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.err, testing::AllOf(HasSubstr("error: "), HasSubstr("why: "), HasSubstr("next: ")));
    EXPECT_EQ(run_program({keyshift_binary(), "advise", "--dsn", database.conninfo() + " password=hunter2"}).status, 5);
}

} // namespace
} // namespace keyshift::test
