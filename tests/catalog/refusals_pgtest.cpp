// Bad input: each is refused before anything is touched, with what, why and the next step.
#include "tests/catalog/cluster.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/process.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

/// The error of a call that must fail with three parts.
Error error_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        EXPECT_FALSE(error.parts().what.empty() || error.parts().why.empty() || error.parts().next.empty())
            << error.what();
        return error;
    }
    ADD_FAILURE() << "nothing was refused";
    return RefusedError({"", "", ""});
}

void expect_refused(const std::function<void()>& call, const std::string& why)
{
    const Error error = error_of(call);
    EXPECT_EQ(exit_status(error.kind()), 5) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(why));
}

struct TableCase {
    const char* name;
    const char* ddl;
    const char* key;
    const char* why;
};
class DistributeRefuses : public testing::TestWithParam<TableCase> {};

TEST_P(DistributeRefuses, and_leaves_the_table_as_it_was)
{
    Cluster cluster;
    pg::Connection n1 = cluster.add_database().connect();
    n1.script("CREATE TABLE public.done (id bigint PRIMARY KEY)");
    n1.script(GetParam().ddl);
    cluster.add_node(0);
    cluster.distribute("done", {"id"});
    const std::string objects = "SELECT count(*) FROM pg_class";
    const std::string before = one(n1, objects);
    expect_refused([&] { cluster.distribute("t", {GetParam().key}); }, GetParam().why);
    EXPECT_EQ(one(n1, objects), before);
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.captured_table"), "1");
}
INSTANTIATE_TEST_SUITE_P(
    tables, DistributeRefuses,
    testing::Values(
        TableCase{"no_primary_key", "CREATE TABLE public.t (k bigint NOT NULL)", "k", "no_primary_key"},
        TableCase{"key_not_in_primary_key", "CREATE TABLE public.t (id bigint PRIMARY KEY, k bigint NOT NULL)", "k",
                  "ADD CONSTRAINT \"t_pkey\" PRIMARY KEY (\"k\", \"id\")"},
        TableCase{"unique_constraint", "CREATE TABLE public.t (k bigint PRIMARY KEY, email text UNIQUE)", "k",
                  "unique_lacks_shard_key"},
        TableCase{
            "unique_index",
            "CREATE TABLE public.t (k bigint PRIMARY KEY, email text); CREATE UNIQUE INDEX ON public.t (lower(email))",
            "k", "unique_lacks_shard_key"},
        TableCase{"exclusion",
                  "CREATE TABLE public.t (k bigint PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))", "k",
                  "exclude_lacks_shard_key"},
        TableCase{"foreign_key_out_of_the_group",
                  "CREATE TABLE public.t (k bigint PRIMARY KEY, d bigint REFERENCES public.done)", "k",
                  "foreign_key_crosses_shards"},
        TableCase{
            "foreign_key_to_a_plain_table",
            "CREATE TABLE public.p (id int PRIMARY KEY); CREATE TABLE public.t (k bigint PRIMARY KEY, p int REFERENCES public.p)",
            "k", "not distributed"},
        TableCase{
            "foreign_key_from_a_table_by_other_columns",
            "CREATE TABLE public.t (k bigint, id bigint, PRIMARY KEY (k, id), UNIQUE (id)); CREATE TABLE public.c (id bigint REFERENCES public.t (id))",
            "k", "foreign_key_direction"},
        TableCase{"unlogged", "CREATE UNLOGGED TABLE public.t (k bigint PRIMARY KEY)", "k", "unlogged"},
        TableCase{"inheritance",
                  "CREATE TABLE public.t (k bigint PRIMARY KEY); CREATE TABLE public.child () INHERITS (public.t)", "k",
                  "inheritance"},
        TableCase{"partitioned", "CREATE TABLE public.t (k bigint PRIMARY KEY) PARTITION BY RANGE (k)", "k",
                  "partitioned"},
        TableCase{"enum_key",
                  "CREATE TYPE public.mood AS ENUM ('a'); CREATE TABLE public.t (k public.mood PRIMARY KEY)", "k",
                  "enum"},
        TableCase{
            "nondeterministic_collation",
            "CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE public.t (k text COLLATE public.ci PRIMARY KEY)",
            "k", "nondeterministic"},
        TableCase{"replica_identity_nothing",
                  "CREATE TABLE public.t (k bigint PRIMARY KEY); ALTER TABLE public.t REPLICA IDENTITY NOTHING", "k",
                  "REPLICA IDENTITY DEFAULT"},
        TableCase{"view_upon_it",
                  "CREATE TABLE public.t (k bigint PRIMARY KEY); CREATE VIEW public.v AS SELECT k FROM public.t", "k",
                  "dependent_objects (public.t): other objects depend on the table as it is: view public.v"},
        TableCase{
            "function_of_its_rows",
            "CREATE TABLE public.t (k bigint PRIMARY KEY); CREATE FUNCTION public.f(public.t) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "k", "function public.f(public.t)"},
        TableCase{"unknown_column", "CREATE TABLE public.t (k bigint PRIMARY KEY)", "absent", "no column absent"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Distribute, refuses_an_unknown_table_a_second_time_and_an_odd_bucket_count)
{
    Cluster cluster;
    cluster.add_database().connect().script(
        "CREATE TABLE public.t (k bigint PRIMARY KEY); CREATE TABLE public.u (k int PRIMARY KEY)");
    cluster.add_node(0);
    expect_refused([&] { cluster.distribute("absent", {"k"}); }, "no node has such a table");
    expect_refused([&] { cluster.distribute("t", {"k"}, {}, 48); }, "power of two");
    expect_refused([&] { cluster.distribute("t", {"k"}, "u"); }, "not a distributed table");
    cluster.distribute("t", {"k"});
    expect_refused([&] { cluster.distribute("t", {"k"}); }, "distributed already");
    expect_refused([&] { cluster.distribute("u", {"k"}, "t"); }, "has type (integer)");
}

TEST(NodeAdd, refuses_names_dsns_and_databases_that_cannot_be)
{
    Cluster cluster;
    const std::string dsn = cluster.add_database().conninfo();
    const auto add = [&](const std::string& name, const std::string& conninfo) {
        return [&cluster, name, conninfo] {
            catalog::add_node(cluster.catalog(), {name, conninfo, "", false});
        };
    };
    expect_refused(add("N1", dsn), "lower case");
    expect_refused(add("n1", dsn + " password=secret"), "password");
    EXPECT_THAT(error_of(add("n1", dsn + " password=secret")).what(), testing::Not(HasSubstr("=secret")));
    EXPECT_EQ(exit_status(error_of(add("n1", "host=127.0.0.1 port=1 dbname=x user=postgres")).kind()), 4);
    EXPECT_EQ(exit_status(error_of(add("n1", dsn + "_absent")).kind()), 4);
    cluster.add_node(0);
    expect_refused(add("n1", dsn), "already");
    expect_refused(add("other", dsn), "already node n1");
    expect_refused([&] { catalog::node(cluster.catalog(), "n9"); }, "Known: n1");
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.node"), "1");
}

TEST(NodeAdd, refuses_a_role_without_rights)
{
    Cluster cluster;
    TestDatabase& database = cluster.add_database();
    pg::Connection admin = database.connect();
    const std::string role = unique_name("weak");
    admin.script(fmt::format("CREATE ROLE {} LOGIN", role));
    std::string dsn = database.conninfo();
    const auto at = dsn.find("user=");
    dsn = at == std::string::npos ? dsn + " user=" + role : dsn.replace(at, dsn.find(' ', at) - at, "user=" + role);
    const auto add = [&] {
        catalog::add_node(cluster.catalog(), {"n1", dsn, "", false});
    };
    expect_refused(add, "REPLICATION");
    admin.script(fmt::format("ALTER ROLE {} REPLICATION", role));
    expect_refused(add, "GRANT CREATE ON DATABASE");
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.node"), "0");
    admin.script(fmt::format("DROP ROLE {}", role));
}

TEST(NodeAdd, refuses_a_server_whose_settings_do_not_do)
{
    Cluster cluster;
    {
        PrivatePostgres replica({"wal_level = replica"});
        expect_refused(
            [&] {
                catalog::add_node(cluster.catalog(), {"n1", replica.conninfo(), "", false});
            },
            "ALTER SYSTEM SET wal_level = 'logical'");
    }
    PrivatePostgres small({"wal_level = logical", "max_replication_slots = 1", "max_wal_senders = 1"});
    pg::Connection(small.settings()).query("SELECT pg_create_physical_replication_slot('taken')");
    expect_refused(
        [&] {
            catalog::add_node(cluster.catalog(), {"n1", small.conninfo(), "", false});
        },
        "replication slots are in use");
}

TEST(NodeAdd, tells_a_wrong_password_from_a_server_that_is_away)
{
    Cluster cluster;
    const TemporaryDirectory directory;
    const std::string rules = directory.write(
        "hba.conf",
        "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust\n");
    // The server runs as another user.
    std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
    std::filesystem::permissions(rules, std::filesystem::perms(0644));
    PrivatePostgres server({"wal_level = logical", "hba_file = '" + rules + "'"});
    pg::Connection(server.settings()).script("CREATE ROLE guarded LOGIN PASSWORD 'right'");
    const std::string password_file = directory.write("password", "wrong");
    std::filesystem::permissions(password_file, std::filesystem::perms(0600));
    const std::string dsn = fmt::format("host=127.0.0.1 port={} dbname=postgres user=guarded", server.port());
    const Error error = error_of([&] { catalog::add_node(cluster.catalog(), {"n1", dsn, password_file, false}); });
    EXPECT_EQ(exit_status(error.kind()), 4);
    EXPECT_THAT(error.parts().why, HasSubstr("password authentication failed"));
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.node"), "0");
}

TEST(Init, is_idempotent_and_refuses_another_prefix_and_a_newer_catalog)
{
    TestDatabase database;
    pg::Connection connection = database.connect("catalog");
    expect_refused([&] { catalog::check_version(connection); }, "keyshift init");
    EXPECT_EQ(catalog::init(connection, "c", "app", true)["created"], true);
    EXPECT_EQ(one(connection, "SELECT to_regnamespace('keyshift') IS NULL"), "t");
    EXPECT_EQ(catalog::init(connection, "c", "app", false)["created"], true);
    EXPECT_EQ(catalog::init(connection, "c", "app", false)["created"], false);
    expect_refused([&] { catalog::init(connection, "c", "other", false); }, "topic_prefix");
    connection.script("UPDATE keyshift.meta SET value = '999' WHERE key = 'version'");
    expect_refused([&] { catalog::init(connection, "c", "app", false); }, "newer Keyshift");
    expect_refused([&] { catalog::list_nodes(connection); }, "newer Keyshift");
}

TEST(Capture, wants_an_identity_and_takes_a_table_once)
{
    Cluster cluster;
    pg::Connection n1 = cluster.add_database().connect();
    n1.script("CREATE TABLE public.log (line text); CREATE TABLE public.audit (id int PRIMARY KEY)");
    cluster.add_node(0);
    expect_refused([&] { catalog::capture(cluster.catalog(), {"log"}, false, std::nullopt, false); },
                   "REPLICA IDENTITY FULL");
    expect_refused([&] { catalog::capture(cluster.catalog(), {"absent"}, false, std::nullopt, false); },
                   "no node has such a table");
    EXPECT_EQ(catalog::capture(cluster.catalog(), {"audit"}, false, std::nullopt, false)["captured"].size(), 1U);
    EXPECT_EQ(catalog::capture(cluster.catalog(), {"audit"}, false, std::nullopt, false)["captured"].size(), 0U);
    n1.script("ALTER TABLE public.log REPLICA IDENTITY FULL");
    EXPECT_EQ(catalog::capture(cluster.catalog(), {}, true, std::nullopt, false)["captured"].size(), 1U);
    EXPECT_EQ(one(n1, "SELECT count(*) FROM pg_publication_tables WHERE pubname LIKE 'keyshift\\_%'"), "2");
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.snapshot WHERE state = 'pending' AND bucket = 0"),
              "2");
    cluster.distribute("audit", {"id"});
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.snapshot"), "9");
    EXPECT_EQ(found_by_doctor(cluster.catalog()), nlohmann::json::array());
}

TEST(ReplicaIdentity, with_a_generated_column_is_refused_where_the_server_would_refuse_writes)
{
    Cluster cluster;
    pg::Connection n1 = cluster.add_database().connect();
    n1.script("CREATE TABLE public.t (k bigint PRIMARY KEY, d bigint GENERATED ALWAYS AS (k * 2) STORED);"
              "ALTER TABLE public.t REPLICA IDENTITY FULL; INSERT INTO public.t VALUES (1), (2), (3)");
    cluster.add_node(0);
    const auto capture = [&] {
        catalog::capture(cluster.catalog(), {"t"}, false, std::nullopt, false);
    };
    if (n1.server_version() >= 180000) {
        expect_refused(capture, "generated column d");
        expect_refused([&] { cluster.distribute("t", {"k"}); }, "REPLICA IDENTITY DEFAULT");
        n1.script("ALTER TABLE public.t REPLICA IDENTITY DEFAULT");
    }
    capture();
    EXPECT_EQ(sqlstate_of(n1, "DELETE FROM public.t WHERE k = 1"), "");
    cluster.distribute("t", {"k"});
    EXPECT_EQ(sqlstate_of(n1, "DELETE FROM public.t WHERE k = 2"), "");
}

TEST(Snapshot, of_a_table_is_refused_where_it_could_not_be_what_was_asked)
{
    Cluster cluster;
    cluster.add_database().connect().script(
        "CREATE TABLE public.t (k bigint PRIMARY KEY); CREATE TABLE public.u (k int PRIMARY KEY)");
    cluster.add_database();
    cluster.add_node(0);
    cluster.distribute("t", {"k"});
    const auto again = [&](const std::string& table, const std::string& where, std::optional<std::string> node) {
        return [&, table, where, node] {
            catalog::snapshot_again(cluster.catalog(), {table, where, node, false});
        };
    };
    expect_refused(again("u", "", {}), "it is not captured");
    expect_refused(again("t", "", {}), "8 of 8 parts are left");
    cluster.catalog().script("UPDATE keyshift.snapshot SET state = 'done'");
    expect_refused(again("t", "", "n9"), "n9");
    expect_refused(again("t", "nonsense = 1", {}), "nonsense");
    expect_refused(again("t", "true); DROP TABLE t; SELECT (1", {}), "42601");
    cluster.add_node(1);
    expect_refused(again("t", "", "n2"), "owns none of its buckets");
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.snapshot WHERE state <> 'done'"), "0");
    EXPECT_EQ(catalog::snapshot_again(cluster.catalog(), {"t", "k > 5", "n1", true})["parts"], 8);
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.snapshot WHERE state <> 'done'"), "0");
    again("t", "k > 5", {})();
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.snapshot WHERE condition = 'k > 5'"), "8");
    expect_refused(again("t", "", {}), "8 of 8 parts are left");
}

TEST(Route, refuses_an_unknown_table_and_a_wrong_key)
{
    Cluster cluster;
    cluster.add_database().connect().script("CREATE TABLE public.t (k uuid PRIMARY KEY)");
    cluster.add_node(0);
    cluster.distribute("t", {"k"});
    expect_refused([&] { catalog::route(cluster.catalog(), "absent", {"1"}); }, "Known: public.t");
    expect_refused([&] { catalog::route(cluster.catalog(), "t", {"1", "2"}); }, "Expected key: (k uuid)");
    expect_refused([&] { catalog::route(cluster.catalog(), "t", {"no uuid"}); }, "uuid");
}

} // namespace
} // namespace keyshift::test
