// Routing functions, must_own and the reject triggers on a node (docs/invariants.md).
#include "tests/catalog/cluster.hpp"

#include "catalog/node_sql.hpp"
#include "core/json.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

constexpr const char* kKey = "'123e4567-e89b-12d3-a456-426614174000'";

std::string plan_of(pg::Connection& connection, const std::string& sql)
{
    const pg::Result rows = connection.query("EXPLAIN (COSTS OFF) " + sql);
    std::string plan;
    for (int row = 0; row < rows.rows(); ++row) {
        plan += std::string(rows.text(row, 0)) + "\n";
    }
    return plan;
}

/// n1 owns all buckets of accounts(id uuid); n2 has placeholders.
class MustOwn : public testing::Test {
protected:
    MustOwn()
    {
        cluster.add_database().connect().script(
            "CREATE TABLE public.accounts (id uuid PRIMARY KEY, balance int);"
            "CREATE TABLE public.mixed (a int, b text, c date, PRIMARY KEY (a, b, c))");
        cluster.add_database();
        cluster.add_node(0);
        cluster.distribute("accounts", {"id"});
        cluster.distribute("mixed", {"a", "b", "c"});
        cluster.add_node(1);
    }
    Cluster cluster;
};

TEST_F(MustOwn, is_planned_as_a_one_time_filter_on_an_empty_leaf)
{
    pg::Connection n2 = cluster.connect(1);
    for (const std::string& statement :
         {fmt::format(
              "SELECT * FROM public.accounts WHERE id = {0} AND keyshift.must_own('public.accounts', {0}::uuid)", kKey),
          fmt::format(
              "UPDATE public.accounts SET balance = 1 WHERE id = {0} AND keyshift.must_own('public.accounts', {0})",
              kKey),
          fmt::format("DELETE FROM public.accounts WHERE id = {0} AND keyshift.must_own('public.accounts', {0}::uuid)",
                      kKey)}) {
        EXPECT_THAT(plan_of(n2, statement), HasSubstr("One-Time Filter"));
        EXPECT_EQ(sqlstate_of(n2, statement), "KS001") << statement;
    }
}

TEST_F(MustOwn, holds_under_generic_plans)
{
    pg::Connection n2 = cluster.connect(1);
    n2.script(
        "SET plan_cache_mode = force_generic_plan;"
        "PREPARE change(uuid) AS UPDATE public.accounts SET balance = 1 WHERE id = $1 AND keyshift.must_own('public.accounts', $1)");
    EXPECT_THAT(plan_of(n2, fmt::format("EXECUTE change({})", kKey)), HasSubstr("One-Time Filter"));
    EXPECT_EQ(sqlstate_of(n2, fmt::format("EXECUTE change({})", kKey)), "KS001");
}

TEST_F(MustOwn, is_true_on_the_owner_and_names_the_new_node_elsewhere)
{
    pg::Connection n1 = cluster.connect(0);
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(one(n1, fmt::format("SELECT keyshift.must_own('public.accounts', {}::uuid)", kKey)), "t");
    EXPECT_EQ(one(n1, "SELECT keyshift.must_own('public.mixed', '5', 'x', '2024-02-29')"), "t");
    EXPECT_EQ(sqlstate_of(n2, "SELECT keyshift.must_own('public.mixed', '5', 'x', '2024-02-29')"), "KS001");
    n2.script(fmt::format(
        "DO $$ DECLARE d text; m text; BEGIN PERFORM keyshift.must_own('public.accounts', {}::uuid); "
        "EXCEPTION WHEN SQLSTATE 'KS001' THEN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, m = MESSAGE_TEXT; "
        "PERFORM set_config('test.detail', d, false), set_config('test.message', m, false); END $$",
        kKey));
    const nlohmann::json detail = nlohmann::json::parse(one(n2, "SELECT current_setting('test.detail')"));
    const std::string bucket = one(n1, fmt::format("SELECT keyshift.bucket_of('public.accounts', {})", kKey));
    EXPECT_EQ(detail, nlohmann::json({{"group", "accounts"},
                                      {"bucket", std::stoi(bucket)},
                                      {"node", "n1"},
                                      {"host", "127.0.0.1"},
                                      {"port", cluster.database(0).port()},
                                      {"dbname", cluster.database(0).name()},
                                      {"epoch", 1}}));
    EXPECT_EQ(one(n2, "SELECT current_setting('test.message')"),
              fmt::format("bucket {} of accounts moved to node n1 (epoch 1)", bucket));
}

TEST_F(MustOwn, refuses_a_key_of_the_wrong_number_or_type_and_names_the_right_one)
{
    pg::Connection n1 = cluster.connect(0);
    for (const char* call :
         {"keyshift.must_own('public.accounts', 5)", "keyshift.must_own('public.accounts', 'a', 'b')",
          "keyshift.bucket_of('public.accounts', 'no uuid')", "keyshift.must_own('public.mixed', 5)",
          "keyshift.node_of('public.mixed', '5')"}) {
        try {
            n1.query(fmt::format("SELECT {}", call));
            FAIL() << call;
        } catch (const pg::SqlError& error) {
            EXPECT_EQ(error.sqlstate(), "22023") << call;
        }
    }
    EXPECT_EQ(sqlstate_of(n1, "SELECT keyshift.bucket_of('keyshift.local_table', 'x')"), "42P01");
}

TEST_F(MustOwn, turns_away_snapshots_older_than_the_open)
{
    pg::Connection n2 = cluster.connect(1);
    pg::Connection reader = cluster.connect(1);
    reader.script("BEGIN ISOLATION LEVEL REPEATABLE READ");
    reader.query("SELECT count(*) FROM public.accounts");
    const std::string bucket = one(n2, fmt::format("SELECT keyshift.bucket_of('public.accounts', {})", kKey));
    n2.script("BEGIN");
    n2.query(
        "UPDATE keyshift.local_bucket SET state = 'open', epoch = 2, open_xid = pg_current_xact_id() WHERE group_name = 'accounts' AND bucket = $1::int",
        {bucket});
    catalog::refresh_ownership(n2, "accounts");
    n2.script("COMMIT");
    const std::string call = fmt::format("SELECT keyshift.must_own('public.accounts', {}::uuid)", kKey);
    EXPECT_EQ(sqlstate_of(reader, call), "40001");
    reader.script("ROLLBACK");
    EXPECT_EQ(one(reader, call), "t");
}

TEST_F(MustOwn, serves_a_role_without_any_grant_on_keyshifts_tables)
{
    pg::Connection n1 = cluster.connect(0);
    const std::string role = unique_name("app");
    n1.script(fmt::format(
        "CREATE ROLE {0}; GRANT SELECT, UPDATE ON public.accounts TO {0}; GRANT USAGE ON SCHEMA public TO {0}; SET ROLE {0}",
        role));
    EXPECT_EQ(one(n1, fmt::format("SELECT keyshift.must_own('public.accounts', {}::uuid)", kKey)), "t");
    EXPECT_EQ(one(n1, fmt::format("SELECT keyshift.node_of('public.accounts', {})", kKey)), "n1");
    EXPECT_EQ(one(n1, fmt::format("SELECT keyshift.owns('public.accounts', {})", kKey)), "t");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM keyshift.placement WHERE group_name = 'accounts'"), "8");
    n1.script(fmt::format("RESET ROLE; DROP OWNED BY {0}; DROP ROLE {0}", role));
}

TEST_F(MustOwn, reject_triggers_stop_every_kind_of_write_but_the_movers)
{
    pg::Connection n2 = cluster.connect(1);
    const std::string bucket = one(n2, fmt::format("SELECT keyshift.bucket_of('public.accounts', {})", kKey));
    const std::string leaf = "public.accounts_b" + bucket;
    const std::string insert = fmt::format("INSERT INTO {} VALUES ({}, 1)", leaf, kKey);
    EXPECT_EQ(sqlstate_of(n2, insert), "KS001");
    EXPECT_EQ(sqlstate_of(n2, "TRUNCATE public.accounts"), "KS001");
    EXPECT_EQ(sqlstate_of(n2, "TRUNCATE " + leaf), "KS001");
    n2.script("SET session_replication_role = replica");
    EXPECT_EQ(sqlstate_of(n2, insert), "KS001");
    EXPECT_EQ(sqlstate_of(n2, "TRUNCATE " + leaf), "KS001");
    n2.script("SET session_replication_role = origin");
    n2.copy_in_begin("COPY public.accounts FROM STDIN");
    n2.copy_in_put("123e4567-e89b-12d3-a456-426614174000\t1\n");
    EXPECT_THROW(n2.copy_in_end(), pg::SqlError);

    n2.script("BEGIN");
    catalog::create_reject_trigger(n2, {"public", "accounts_b" + bucket}, "accounts",
                                   BucketId{static_cast<std::uint32_t>(std::stoul(bucket))}, "secret");
    n2.script("COMMIT");
    n2.script("SET keyshift.mover = 'other'");
    EXPECT_EQ(sqlstate_of(n2, insert), "KS001");
    n2.script("SET keyshift.mover = 'secret'");
    EXPECT_EQ(sqlstate_of(n2, insert), "");
    n2.script("SET keyshift.mover = ''");
    EXPECT_EQ(sqlstate_of(n2, fmt::format("UPDATE {} SET balance = 2", leaf)), "KS001");
    EXPECT_EQ(sqlstate_of(n2, fmt::format("DELETE FROM {}", leaf)), "KS001");
    catalog::drop_reject_trigger(n2, {"public", "accounts_b" + bucket});
    EXPECT_FALSE(catalog::has_reject_trigger(n2, {"public", "accounts_b" + bucket}));
    EXPECT_EQ(sqlstate_of(n2, fmt::format("DELETE FROM {}", leaf)), "");
}

TEST_F(MustOwn, takes_a_projections_view_for_its_table_until_it_is_forgotten)
{
    pg::Connection n1 = cluster.connect(0);
    const QualifiedName root{"public", "accounts"};
    n1.script("CREATE VIEW public.balances AS SELECT * FROM public.accounts");
    catalog::set_alias(n1, root, {"public", "balances"});
    EXPECT_EQ(
        one(n1, fmt::format(
                    "SELECT keyshift.must_own('public.balances', {0}::uuid) AND keyshift.owns('public.balances', {0})",
                    kKey)),
        "t");
    catalog::forget_table(n1, root, "accounts");
    EXPECT_EQ(sqlstate_of(n1, fmt::format("SELECT keyshift.must_own('public.balances', {}::uuid)", kKey)), "42P01");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM keyshift.local_bucket WHERE group_name = 'accounts'"), "0");
}

struct KeyCase {
    const char* type;
    const char* value; ///< SQL expression of n
};
class BucketOf : public testing::TestWithParam<KeyCase> {};

TEST_P(BucketOf, names_the_leaf_that_PostgreSQL_chose)
{
    Cluster cluster;
    pg::Connection n1 = cluster.add_database().connect();
    n1.script(fmt::format("CREATE DOMAIN public.code AS bigint; CREATE TABLE public.t (k {} PRIMARY KEY);"
                          "INSERT INTO public.t SELECT DISTINCT {} FROM generate_series(1, 300) n",
                          GetParam().type, GetParam().value));
    cluster.add_node(0);
    cluster.distribute("t", {"k"}, {}, 64);
    EXPECT_GT(std::stoi(one(n1, "SELECT count(*) FROM public.t")), 100);
    EXPECT_EQ(
        one(n1,
            "SELECT count(*) FROM public.t WHERE tableoid::regclass::text <> 'public.t_b' || keyshift.bucket_of('public.t', k::text)"),
        "0");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.t WHERE NOT keyshift.must_own('public.t', k::text)"), "0");
    const pg::Result some = n1.query("SELECT k::text, tableoid::regclass::text FROM public.t ORDER BY k LIMIT 20");
    for (int row = 0; row < some.rows(); ++row) {
        const nlohmann::json answer = catalog::route(cluster.catalog(), "t", {std::string(some.text(row, 0))});
        EXPECT_EQ(fmt::format("public.t_b{}", answer["bucket"].get<int>()), some.text(row, 1));
    }
}
INSTANTIATE_TEST_SUITE_P(
    key_types, BucketOf,
    testing::Values(KeyCase{"smallint", "n - 150"}, KeyCase{"integer", "n * 7919 - 1000000"},
                    KeyCase{"bigint", "n * 99999999977 - 5"}, KeyCase{"uuid", "gen_random_uuid()"},
                    KeyCase{"text", "'key ' || n || 'ü'"}, KeyCase{"character varying(40)", "'v' || n"},
                    KeyCase{"date", "date '1999-06-01' + n"},
                    KeyCase{"timestamp with time zone",
                            "timestamptz '1999-12-31 23:59:59.123456+02' + n * interval '17 hours'"},
                    KeyCase{"character(12)", "'c' || n"}, KeyCase{"numeric", "n / 7.0"},
                    KeyCase{"bytea", "decode(lpad(to_hex(n), 8, '0'), 'hex')"}, KeyCase{"public.code", "n * 31"}));

} // namespace
} // namespace keyshift::test
