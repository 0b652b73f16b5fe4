// Bad input: three parts on stderr, the right exit status, and nothing touched.
#include "tests/daemon/installation.hpp"
#include "tests/support/private_postgres.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

/// What must stay as it is: every relation, trigger, publication and slot of the database, and the catalog's rows.
std::string everything(pg::Connection connection)
{
    std::string all = std::string(connection
                                      .query(R"(
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT 'relation ' || c.oid || ' ' || c.relname || ' ' || c.relkind::text AS line FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
  UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger UNION ALL SELECT 'publication ' || pubname FROM pg_publication
  UNION ALL SELECT 'published ' || prrelid FROM pg_publication_rel
  UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()) lines)")
                                      .text(0, 0));
    if (!connection.query("SELECT to_regclass('keyshift.node') IS NULL").boolean(0, 0)) {
        for (const char* table :
             {"node", "captured_table", "table_group", "bucket", "job", "projection", "snapshot", "daemon"}) {
            all += connection
                       .query(fmt::format(
                           "SELECT '{}' || coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM keyshift.{} t",
                           table, table))
                       .text(0, 0);
        }
    }
    return all;
}

void expect_refused(const Finished& done, int status, const std::string& words)
{
    EXPECT_EQ(done.status, status) << done.out << done.err;
    EXPECT_THAT(done.err, AllOf(HasSubstr("error: "), HasSubstr("\n  why:  "), HasSubstr("\n  next: "))) << done.err;
    EXPECT_THAT(done.err, HasSubstr(words));
}

class BadInput : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.connect().script(
            "CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text);"
            "CREATE TABLE public.keyless (a bigint, b text);"
            "CREATE TABLE public.posts (post_id bigint PRIMARY KEY, user_id bigint NOT NULL, content text)");
    }

    /// Runs it and checks that it changed nothing in n1 and the catalog.
    void refused(const std::vector<std::string>& arguments, int status, const std::string& words,
                 const Environment& environment = {})
    {
        const std::string before = everything(installation_.connect());
        expect_refused(installation_.keyshift(arguments, environment), status, words);
        EXPECT_EQ(everything(installation_.connect()), before);
    }

    void add(const pg::ConnectionSettings& settings, int status, const std::string& words)
    {
        refused({"node", "add", "n2", "--dsn", settings.conninfo}, status, words);
    }

    Installation installation_;
};

TEST_F(BadInput, WrongConfigurationKeyOrType)
{
    refused({"--set", "cdc.partitoins=3", "status"}, 3, "cdc.partitions");
    refused({"--set", "cdc.partitions=many", "table", "distribute", "users", "--key", "user_id", "--offline"}, 3,
            "whole number");
}

TEST_F(BadInput, UnreachableNodeAndCatalog)
{
    add({"n2", fmt::format("host=127.0.0.1 port={} dbname=app user=postgres", free_port()), "", ""}, 4, "127.0.0.1");
    expect_refused(installation_.keyshift(
                       {"--set", fmt::format("catalog.dsn=host=127.0.0.1 port={} dbname=x", free_port()), "status"}),
                   4, "catalog");
}

TEST_F(BadInput, PasswordInTheConninfo)
{
    refused({"node", "add", "n2", "--dsn", "host=127.0.0.1 dbname=x password=hunter2"}, 5, "password");
    EXPECT_EQ(installation_.keyshift({"node", "add", "n2", "--dsn", "host=127.0.0.1 dbname=x password=hunter2"})
                  .err.find("hunter2"),
              std::string::npos);
}

TEST_F(BadInput, MissingRights)
{
    installation_.connect().script("DROP ROLE IF EXISTS keyshift_test_nobody; CREATE ROLE keyshift_test_nobody LOGIN");
    const TestDatabase other(2);
    other.connect().script(
        "DO $$ BEGIN CREATE ROLE keyshift_test_weak LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$");
    add({"n2", fmt::format("host=127.0.0.1 port={} dbname={} user=keyshift_test_weak", other.port(), other.name()), "",
         ""},
        5, "REPLICATION");
}

TEST_F(BadInput, WalLevelIsNotLogical)
{
    const PrivatePostgres server({"wal_level = replica"});
    add(server.settings(), 5, "wal_level");
}

TEST_F(BadInput, TooFewSlots)
{
    const PrivatePostgres server({"wal_level = logical", "max_replication_slots = 0"});
    add(server.settings(), 5, "max_replication_slots");
}

TEST_F(BadInput, TooFewSenders)
{
    const PrivatePostgres server({"wal_level = logical", "max_wal_senders = 0"});
    add(server.settings(), 5, "max_wal_senders");
}

TEST_F(BadInput, WrongPassword)
{
    const PrivatePostgres server({"wal_level = logical"});
    pg::Connection connection(server.settings());
    const std::string rules(connection.query("SHOW hba_file").text(0, 0));
    connection.script(
        "CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right'; COPY (VALUES ('host all guarded 127.0.0.1/32 scram-sha-256'), "
        "('host all all 127.0.0.1/32 trust')) TO '" +
        rules + "'; SELECT pg_reload_conf()");
    const std::string file = installation_.directory().write("password", "wrong4711\n");
    ::chmod(file.c_str(), 0600);
    const std::vector<std::string> arguments{
        "node",
        "add",
        "n2",
        "--dsn",
        fmt::format("host=127.0.0.1 port={} dbname=postgres user=guarded", server.port()),
        "--password-file",
        file};
    refused(arguments, 4, "password authentication failed");
    EXPECT_EQ(installation_.keyshift(arguments).err.find("wrong4711"), std::string::npos);
    ::chmod(file.c_str(), 0644);
    refused(arguments, 3, "read");
}

TEST_F(BadInput, TableWithoutPrimaryKey)
{
    refused({"table", "distribute", "keyless", "--key", "a", "--offline"}, 5, "primary key");
}

TEST_F(BadInput, KeyColumnThatIsNotInThePrimaryKey)
{
    refused({"table", "distribute", "posts", "--key", "user_id", "--offline"}, 5, "user_id");
}

TEST_F(BadInput, UnknownTableNodeColumnAndCountOfBuckets)
{
    refused({"table", "distribute", "nosuch", "--key", "a", "--offline"}, 5, "nosuch");
    refused({"table", "capture", "nosuch"}, 5, "nosuch");
    refused({"table", "distribute", "users", "--key", "nosuch", "--offline"}, 5, "nosuch");
    refused({"table", "distribute", "users", "--key", "user_id", "--offline", "--buckets", "48"}, 5, "power of two");
    refused({"node", "show", "n9"}, 5, "n1");
    refused({"node", "remove", "n9", "--yes"}, 5, "n1");
    refused({"route", "nosuch", "1"}, 5, "nosuch");
}

TEST_F(BadInput, NodeAddedTwice)
{
    refused({"node", "add", "n1", "--dsn", installation_.database().conninfo()}, 5, "n1");
    refused({"node", "add", "n2", "--dsn", installation_.database().conninfo()}, 5, "n1");
    refused({"node", "add", "Bad-Name", "--dsn", installation_.database().conninfo()}, 5, "Bad-Name");
}

TEST_F(BadInput, DistributedTwice)
{
    installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
    refused({"table", "distribute", "users", "--key", "user_id", "--offline"}, 5, "users");
}

TEST_F(BadInput, UnknownBucketNodePlanAndJob)
{
    installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
    installation_.connect().script("DELETE FROM keyshift.snapshot");
    refused({"reshard", "start", "--buckets", "99", "--to", "n1"}, 5, "--buckets");
    refused({"reshard", "start", "--to", "n9"}, 5, "n9");
    refused({"reshard", "plan", "--drain", "n9"}, 5, "n9");
    refused({"reshard", "status", "77"}, 5, "77");
    refused({"reshard", "cancel", "77", "--yes"}, 5, "77");
}

TEST_F(BadInput, SqlThatIsNoProjection)
{
    installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
    for (const char* sql :
         {"SELEC user_id FROM users", "DELETE FROM users", "SELECT name FROM nosuch", "SELECT count(*) FROM users",
          "SELECT now(), name FROM users", "SELECT name FROM users; SELECT 1"}) {
        refused({"projection", "create", "p", "--key", "name", "--sql", sql}, 5, "projection");
    }
    refused({"projection", "create", "p", "--key", "nosuch", "--sql", "SELECT name FROM users"}, 5, "nosuch");
    refused({"projection", "show", "nosuch"}, 5, "nosuch");
    refused({"projection", "create", "p", "--key", "name"}, 2, "--sql");
}

TEST_F(BadInput, ACatalogWrittenByANewerVersion)
{
    installation_.connect().script("UPDATE keyshift.meta SET value = '99' WHERE key = 'version'");
    refused({"status"}, 5, "newer");
    refused({"init"}, 5, "newer");
    refused({"run"}, 5, "newer");
}

TEST_F(BadInput, NoCatalogAtAll)
{
    const Installation fresh;
    expect_refused(fresh.keyshift({"status"}), 5, "keyshift init");
    expect_refused(fresh.keyshift({"run"}), 5, "keyshift init");
    EXPECT_EQ(everything(fresh.connect()), "");
}

} // namespace
} // namespace keyshift::test
