// `table undistribute` of a table that is read and written meanwhile.
#include "tests/catalog/table_in_use.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace keyshift::test {
namespace {

TEST_F(Online, and_back_again_keeps_every_acknowledged_write)
{
    cluster.distribute("items", {"owner"});
    pg::Connection n1 = cluster.connect(0);
    std::vector<std::unique_ptr<Writer>> writers;
    for (std::int64_t number = 0; number < kWriters; ++number) {
        writers.push_back(std::make_unique<Writer>(cluster.connect(0), number, number % 2 == 1));
    }
    catalog::undistribute(cluster.catalog(), "items", false);
    Rows expected;
    for (const auto& writer : writers) {
        writer->stop();
        EXPECT_EQ(writer->error, "");
        expected.merge(writer->rows);
    }
    EXPECT_EQ(read(n1), expected);
    EXPECT_EQ(one(n1, "SELECT relkind FROM pg_class WHERE oid = 'public.items'::regclass"), "r");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM pg_class WHERE relname LIKE 'items\\_b%'"), "0");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'keyshift%'"), "0");
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(one(n2, "SELECT to_regclass('public.items') IS NULL AND NOT EXISTS (SELECT FROM keyshift.placement)"),
              "t");
    EXPECT_EQ(one(cluster.catalog(), "SELECT node || epoch || coalesce(group_name, '') FROM keyshift.captured_table"),
              "n12");
    EXPECT_EQ(found_by_doctor(cluster.catalog()), nlohmann::json::array());
    cluster.distribute("items", {"owner"});
    EXPECT_EQ(one(cluster.catalog(), "SELECT min(epoch) FROM keyshift.bucket"), "3");
}

TEST_F(Online, back_again_follows_the_truncate_of_one_leaf)
{
    cluster.distribute("items", {"owner"});
    pg::Connection n1 = cluster.connect(0);
    bool truncated = false;
    const catalog::OnlineWork work{[&](double, const std::string&) {
                                       if (!std::exchange(truncated, true)) {
                                           n1.script("TRUNCATE public.items_b0, public.items_b7");
                                       }
                                   },
                                   {}};
    const std::string left = one(n1, "SELECT count(*) FROM public.items WHERE tableoid::regclass::text !~ '_b[07]$'");
    catalog::undistribute(cluster.catalog(), "items", false, work);
    EXPECT_TRUE(truncated);
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.items"), left);
}

class CrashOfUndistribute : public testing::TestWithParam<const char*> {};

TEST_P(CrashOfUndistribute, is_mended_by_a_second_run)
{
    Cluster cluster;
    cluster.add_database().connect().script(
        "CREATE TABLE public.t (k bigint PRIMARY KEY, v int); INSERT INTO public.t SELECT n, n FROM generate_series(1, 100) n");
    cluster.add_database();
    cluster.add_node(0);
    cluster.add_node(1);
    cluster.distribute("t", {"k"});
    EXPECT_EQ(run_program({KEYSHIFT_CATALOG_COMMAND, cluster.catalog().settings().conninfo, "undistribute", "t"},
                          {{"KEYSHIFT_FAILPOINTS", std::string(GetParam()) + "=kill"}})
                  .status,
              128 + SIGKILL);
    pg::Connection n1 = cluster.connect(0);
    n1.script("INSERT INTO public.t VALUES (101, 1); DELETE FROM public.t WHERE k = 9");
    catalog::undistribute(cluster.catalog(), "t", false);
    EXPECT_EQ(one(n1, "SELECT count(*) || ',' || sum(v) FROM public.t"), "100,5042");
    // A stream that reads the leaves' events only now knows whose they are.
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.captured_relation WHERE NOT own"), "8");
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(one(n2, "SELECT to_regclass('public.t') IS NULL"), "t");
    EXPECT_EQ(found_by_doctor(cluster.catalog()), nlohmann::json::array());
}
INSTANTIATE_TEST_SUITE_P(failpoints, CrashOfUndistribute,
                         testing::Values("online.fill.chunk", "online.swap.before_commit",
                                         "undistribute.holder.persisted", "undistribute.others.persisted"));

TEST_F(Online, back_again_is_refused_while_something_ties_the_table)
{
    pg::Connection n1 = cluster.connect(0);
    n1.script("CREATE TABLE public.notes (owner text, item bigint, n bigint, PRIMARY KEY (owner, item, n), "
              "CONSTRAINT of_item FOREIGN KEY (owner, item) REFERENCES public.items (owner, id))");
    cluster.distribute("items", {"owner"});
    cluster.distribute("notes", {"owner"}, "items");
    const auto why = [&](const char* table) {
        try {
            catalog::undistribute(cluster.catalog(), table, false);
            return std::string("undistributed");
        } catch (const RefusedError& error) {
            return std::string(error.what());
        }
    };
    EXPECT_THAT(why("items"), testing::HasSubstr("of_item"));
    EXPECT_THAT(why("notes"), testing::HasSubstr("of_item"));
    EXPECT_THAT(why("nothing"), testing::HasSubstr("not a distributed table"));
    n1.script("ALTER TABLE public.notes DROP CONSTRAINT of_item");
    EXPECT_EQ(why("notes"), "undistributed");
    EXPECT_EQ(one(cluster.catalog(), "SELECT string_agg(name, ',') FROM keyshift.table_group"), "items");
}

} // namespace
} // namespace keyshift::test
