#include "catalog/operations/ddl.hpp"

#include "core/json.hpp"
#include "tests/catalog/cluster.hpp"
#include "tests/support/process.hpp"

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// users and posts (co-located) on two nodes, half the buckets on each by name only; logs on n1 alone.
class DdlTest : public testing::Test {
protected:
    DdlTest()
    {
        cluster.add_database().connect().script(
            "CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL);"
            "CREATE TABLE public.posts (user_id bigint REFERENCES public.users, post_id bigint, PRIMARY KEY (user_id, post_id));"
            "CREATE TABLE public.logs (id bigint PRIMARY KEY);"
            "CREATE TABLE public.plain (id bigint PRIMARY KEY);"
            "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, 100) i");
        cluster.add_database();
        cluster.add_node(0);
        cluster.distribute("users", {"user_id"});
        cluster.distribute("posts", {"user_id"}, "users");
        catalog::capture(cluster.catalog(), {"logs"}, false, std::nullopt, false);
        cluster.add_node(1);
    }

    nlohmann::json run(const std::string& statement)
    {
        catalog::Ddl request{statement};
        request.patience = std::chrono::milliseconds(500);
        return catalog::ddl(cluster.catalog(), request);
    }

    ErrorParts refused(const std::string& statement)
    {
        try {
            run(statement);
        } catch (const Error& error) {
            EXPECT_NE(error.kind(), ErrorKind::transient) << error.what();
            EXPECT_FALSE(error.parts().next.empty());
            return error.parts();
        }
        ADD_FAILURE() << "not refused: " << statement;
        return {};
    }

    /// The answer of both nodes, which must be the same.
    std::string both(const std::string& query)
    {
        pg::Connection n1 = cluster.connect(0);
        pg::Connection n2 = cluster.connect(1);
        const std::string first = one(n1, query);
        EXPECT_EQ(one(n2, query), first) << query;
        return first;
    }

    std::string columns()
    {
        return both("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute "
                    "WHERE attrelid = 'public.users_b3'::regclass AND attnum > 0 AND NOT attisdropped");
    }
    std::string journal()
    {
        return one(cluster.catalog(), "SELECT string_agg(state, ' ' ORDER BY id) FROM keyshift.ddl");
    }

    Cluster cluster;
};

TEST_F(DdlTest, ChangesTheTableAndItsLeavesOnEveryNode)
{
    EXPECT_EQ(run("ALTER TABLE users ADD COLUMN age int DEFAULT 7 CHECK (age > 0)").at("state"), "done");
    EXPECT_EQ(columns(), "user_id name age");
    run("ALTER TABLE users RENAME COLUMN age TO years");
    run("ALTER TABLE users ADD CONSTRAINT unique_name UNIQUE (name, user_id)");
    run("COMMENT ON COLUMN users.years IS 'since birth'");
    EXPECT_EQ(columns(), "user_id name years");
    run("ALTER TABLE users DROP COLUMN years");
    EXPECT_EQ(columns(), "user_id name");
    EXPECT_EQ(
        both(
            "SELECT count(*) FROM pg_constraint WHERE conname = 'unique_name' AND conrelid = 'public.users'::regclass"),
        "1");
    EXPECT_EQ(journal(), "done done done done done");
    EXPECT_EQ(both("SELECT count(*) FROM keyshift.local_ddl"), "0");
    EXPECT_EQ(found_by_doctor(cluster.catalog()).size(), 0U) << found_by_doctor(cluster.catalog());
}

TEST_F(DdlTest, RefusesWhatTheShardKeyForbidsWithTheReason)
{
    EXPECT_THAT(refused("ALTER TABLE users DROP COLUMN user_id").why, HasSubstr("in its shard key (user_id)"));
    EXPECT_THAT(refused("ALTER TABLE users ALTER COLUMN user_id TYPE int").why, HasSubstr("other buckets"));
    EXPECT_THAT(refused("ALTER TABLE users RENAME COLUMN user_id TO id").why, HasSubstr("routing"));
    EXPECT_THAT(refused("ALTER TABLE users ADD UNIQUE (name)").why,
                HasSubstr("UNIQUE (name) does not include the shard key (user_id)"));
    EXPECT_THAT(refused("CREATE UNIQUE INDEX i ON users (name)").why, HasSubstr("no node can enforce it alone"));
    EXPECT_THAT(refused("ALTER TABLE users DROP CONSTRAINT users_pkey").why, HasSubstr("keyed by the primary key"));
    EXPECT_THAT(refused("ALTER TABLE users ADD FOREIGN KEY (name) REFERENCES logs").why, HasSubstr("another node"));
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.ddl"), "0") << "nothing was begun";
}

TEST_F(DdlTest, RefusesTablesThatAreNotDistributedAndSaysWhatToDo)
{
    EXPECT_THAT(refused("ALTER TABLE logs ADD COLUMN a int").why, HasSubstr("node n1 alone has it"));
    EXPECT_THAT(refused("ALTER TABLE plain ADD COLUMN a int").next, HasSubstr("yourself"));
    EXPECT_THAT(refused("ALTER TABLE users_b3 ADD COLUMN a int").why, HasSubstr("leaf of public.users"));
    EXPECT_THAT(refused("DROP INDEX nothing").why, HasSubstr("no such index"));
}

TEST_F(DdlTest, WhenOneNodeCannotNoneHasIt)
{
    cluster.connect(1).script("ALTER TABLE public.users ADD COLUMN age int"); // behind our back
    const ErrorParts error = refused("ALTER TABLE users ADD COLUMN age int");
    EXPECT_THAT(error.why, HasSubstr("already exists"));
    EXPECT_THAT(error.next, HasSubstr("Nothing was changed on any node"));
    pg::Connection n1 = cluster.connect(0);
    EXPECT_EQ(
        one(n1, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.users'::regclass AND attname = 'age'"),
        "0");
    EXPECT_EQ(journal(), "undone");
    const auto findings = found_by_doctor(cluster.catalog());
    ASSERT_EQ(findings.size(), 1U) << findings;
    EXPECT_EQ(findings[0].at("check"), "definition_differs");
    EXPECT_EQ(findings[0].at("object"), "public.users on n1");
    n1.script(findings[0].at("fix").get<std::string>());
    EXPECT_EQ(found_by_doctor(cluster.catalog()).size(), 0U) << "the fix mends it";
}

TEST_F(DdlTest, ALockThatIsNotGotIsNamedAndNothingIsHeldMeanwhile)
{
    pg::Connection holder = cluster.connect(1);
    holder.script("BEGIN; SELECT count(*) FROM public.users");
    const ErrorParts error = refused("ALTER TABLE users ADD COLUMN age int");
    EXPECT_THAT(error.why, AllOf(HasSubstr("pid " + std::to_string(holder.backend_pid())), HasSubstr("on node n2")));
    EXPECT_EQ(columns(), "user_id name");
    holder.script("COMMIT");
    EXPECT_EQ(run("ALTER TABLE users ADD COLUMN age int").at("state"), "done");
}

TEST_F(DdlTest, BuildsAnIndexLeafByLeafAndAttachesTheParts)
{
    run("CREATE INDEX users_name ON users (name) WHERE name <> ''");
    EXPECT_EQ(both("SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.users_name'::regclass"), "t");
    EXPECT_EQ(both("SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.users_name'::regclass"), "8");
    EXPECT_THAT(refused("CREATE INDEX users_name ON users (name)").why, HasSubstr("has an index users_name already"));
    EXPECT_EQ(both("SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.users_name'::regclass"), "8");
    run("DROP INDEX users_name");
    EXPECT_EQ(both("SELECT count(*) FROM pg_class WHERE relname LIKE 'users_name%'"), "0");
    EXPECT_EQ(found_by_doctor(cluster.catalog()).size(), 0U);
}

TEST_F(DdlTest, AnIndexThatCannotBeBuiltIsTakenBackEverywhere)
{
    cluster.connect(0).script("UPDATE public.users SET name = 'no number' WHERE user_id = 50");
    refused("CREATE INDEX numbers ON users ((substr(name, 6)::int))");
    EXPECT_EQ(both("SELECT count(*) FROM pg_class WHERE relname LIKE 'numbers%'"), "0");
    EXPECT_EQ(journal(), "undone");
}

TEST_F(DdlTest, TruncateEmptiesEveryNodeThroughThePlaceholders)
{
    pg::Connection n1 = cluster.connect(0);
    EXPECT_EQ(sqlstate_of(*std::make_unique<pg::Connection>(cluster.connect(1)), "TRUNCATE public.users, public.posts"),
              "KS001");
    EXPECT_THAT(refused("TRUNCATE users").why, HasSubstr("foreign key"));
    run("TRUNCATE users, posts");
    EXPECT_EQ(both("SELECT count(*) FROM public.users"), "0");
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(sqlstate_of(n2, "TRUNCATE public.users, public.posts"), "KS001")
        << "the placeholders refuse it as before";
    EXPECT_EQ(found_by_doctor(cluster.catalog()).size(), 0U);
}

TEST_F(DdlTest, IsRefusedWhileAMoveOfTheGroupIsUnderWay)
{
    cluster.catalog().script(
        "INSERT INTO keyshift.job (id) OVERRIDING SYSTEM VALUE VALUES (1);"
        "INSERT INTO keyshift.move (job, group_name, bucket, donor, recipient, state, epoch, token) "
        "VALUES (1, 'users', 3, 'n1', 'n2', 'catching_up', 2, 't')");
    EXPECT_THAT(refused("ALTER TABLE posts ADD COLUMN a int").why,
                HasSubstr("move 1 (bucket 3 of users) is catching_up"));
    EXPECT_EQ(journal(), "undone");
    cluster.catalog().script("UPDATE keyshift.move SET state = 'settling'");
    EXPECT_EQ(run("ALTER TABLE posts ADD COLUMN a int").at("state"), "done");
}

TEST_F(DdlTest, SequencesWithRangesAreNoDifference)
{
    cluster.connect(0).script(
        "CREATE TABLE public.orders (id bigserial, n int DEFAULT 3, at timestamptz DEFAULT now(), PRIMARY KEY (id))");
    cluster.distribute("orders", {"id"});
    EXPECT_EQ(found_by_doctor(cluster.catalog()).size(), 0U) << found_by_doctor(cluster.catalog());
    EXPECT_EQ(run("ALTER TABLE orders ADD COLUMN note text DEFAULT 'none'").at("state"), "done");
    EXPECT_EQ(found_by_doctor(cluster.catalog()).size(), 0U);
}

class KilledDdl : public DdlTest {
protected:
    void kill(const std::string& failpoint, const std::string& statement)
    {
        const Finished done =
            run_program({KEYSHIFT_CATALOG_COMMAND, cluster.catalog().settings().conninfo, "ddl", statement},
                        {{"KEYSHIFT_FAILPOINTS", failpoint + "=kill@1"}});
        EXPECT_EQ(done.status, 128 + SIGKILL) << done.err;
    }

    nlohmann::json finish()
    {
        catalog::Ddl request;
        request.finish = true;
        return catalog::ddl(cluster.catalog(), request);
    }
};

TEST_F(KilledDdl, BeforeTheFirstCommitIsTakenBackByTheNextRun)
{
    kill("ddl.prepared", "ALTER TABLE users ADD COLUMN age int");
    const auto next = run("ALTER TABLE posts ADD COLUMN a int");
    EXPECT_THAT(next.at("finished_before").at("state").get<std::string>(), HasSubstr("taken back"));
    EXPECT_EQ(columns(), "user_id name");
    EXPECT_EQ(journal(), "undone done");
}

TEST_F(KilledDdl, BetweenTwoCommitsIsFinishedByTheNextRunWhichSaysWhereItWas)
{
    kill("ddl.committed", "ALTER TABLE users ADD COLUMN age int");
    EXPECT_EQ(journal(), "running");
    const auto done = finish();
    EXPECT_EQ(done.at("state"), "finished; before: n1");
    EXPECT_EQ(columns(), "user_id name age");
    EXPECT_EQ(journal(), "done");
}

TEST_F(KilledDdl, AnIndexIsBuiltToItsEnd)
{
    kill("ddl.index.built", "CREATE INDEX users_name ON users (name)");
    finish();
    EXPECT_EQ(both("SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.users_name'::regclass"), "t");
    EXPECT_EQ(both("SELECT count(*) FROM pg_class WHERE relname LIKE 'users_name%'"), "9");
}

TEST_F(KilledDdl, ATruncateGoesOnOnlyWhenToldTo)
{
    kill("ddl.committed", "TRUNCATE users, posts");
    EXPECT_THAT(refused("ALTER TABLE posts ADD COLUMN a int").why, HasSubstr("done on n1, not on the other nodes"));
    finish();
    EXPECT_EQ(journal(), "done");
}

} // namespace
} // namespace keyshift::test
