/// INV-PRJ-1 of projections with GROUP BY, with everything real.

#include "catalog/node_access.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "projections/batch_writer.hpp"
#include "projections/commands/totals_check.hpp"
#include "projections/projection_record.hpp"
#include "tests/projections/projected_cluster.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <random>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

const char* const kSales =
    "CREATE TABLE public.sales (shop_id bigint, sale_id bigint, clerk_id bigint NOT NULL, region text, price numeric, "
    "pieces int, code bigint, paid boolean, at timestamptz NOT NULL DEFAULT '2026-01-01', name text, PRIMARY KEY (shop_id, sale_id));"
    "INSERT INTO public.sales SELECT i % 7, i, i % 11, CASE i % 4 WHEN 0 THEN NULL ELSE 'r' || i % 4 END, i * 1.25, i % 5, i, i % 3 = 0, "
    "timestamptz '2026-01-01' + i * interval '1 hour', 'sale ' || i FROM generate_series(1, 300) i";

const char* const kEverything =
    "s.clerk_id AS clerk, region, count(*) AS n, count(price) AS priced, sum(price) AS total, sum(pieces) AS pieces, sum(code) AS codes, "
    "avg(pieces) AS mean, avg(price) FILTER (WHERE paid) AS mean_paid, min(price) AS least, max(at) AS latest, bool_and(paid) AS all_paid, "
    "every(pieces > 0) AS each, bool_or(paid) AS any_paid, count(DISTINCT pieces) AS kinds, sum(pieces * 2) + count(*) AS mixed, "
    "(array_agg(name ORDER BY price DESC NULLS LAST, sale_id, shop_id))[1:3] AS best, string_agg(name, ', ' ORDER BY sale_id, shop_id) AS names";
const char* const kFrom =
    " FROM public.sales s WHERE pieces IS DISTINCT FROM 4 GROUP BY s.clerk_id, region HAVING count(*) > 1";

/// Numbers without the trailing zeros, which events do not carry.
const char* const kShown =
    "SELECT ROW(clerk, region, n, priced, trim_scale(total), pieces, codes, trim_scale(mean), trim_scale(mean_paid), "
    "trim_scale(least), latest, all_paid, each, any_paid, kinds, mixed, best, names)::text FROM ";

/// What the SELECT itself gives on the node that has all base rows.
std::vector<std::string> wanted(ProjectedCluster& cluster, const std::string& select)
{
    pg::Connection node = cluster.connect(0);
    std::vector<std::string> rows;
    const pg::Result found = node.query(kShown + ("(" + select + ") r"));
    for (int row = 0; row < found.rows(); ++row) {
        rows.emplace_back(found.text(row, 0));
    }
    std::sort(rows.begin(), rows.end());
    return rows;
}

projections::TotalsCheck check(ProjectedCluster& cluster, const std::string& name)
{
    std::vector<catalog::OpenNode> nodes = catalog::open_nodes(cluster.catalog(), "test");
    return projections::check_totals(nodes, projections::read_projection(cluster.catalog(), name).definition);
}

/// Inserts, deletes, and updates of every column, of the projection's key and of the rest of the group too.
std::string random_change(std::mt19937& random)
{
    const auto any = [&](unsigned below) {
        return std::to_string(random() % below);
    };
    const std::string sale = "sale_id = " + any(400);
    const std::string columns[] = {"clerk_id = " + any(11),
                                   "region = CASE WHEN region IS NULL THEN 'r1' END",
                                   "price = CASE " + any(9) +
                                       " WHEN 0 THEN 'NaN'::numeric WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' "
                                       "WHEN 3 THEN NULL ELSE " +
                                       any(999) + " END",
                                   "pieces = " + any(6),
                                   "paid = CASE WHEN paid THEN NULL WHEN paid IS NULL THEN false ELSE true END",
                                   "at = at + interval '-7 hours', name = name || '!'"};
    switch (random() % 8) {
    case 0:
        return "INSERT INTO public.sales VALUES (" + any(7) + ", " + any(400) + ", " + any(11) + ", 'r" + any(3) +
               "', " + any(500) + ", " + any(6) + ", " + any(99) + ", true) ON CONFLICT DO NOTHING";
    case 1:
        return "DELETE FROM public.sales WHERE " + sale;
    default:
        return "UPDATE public.sales SET " + columns[random() % 6] + " WHERE " + sale;
    }
}

class Aggregate : public testing::Test {
protected:
    Aggregate()
    {
        cluster_.connect(0).script(kSales);
        cluster_.distribute("sales", "shop_id");
    }

    void change(unsigned seed, int times)
    {
        SCOPED_TRACE("seed " + std::to_string(seed));
        pg::Connection node = cluster_.connect(0);
        std::mt19937 random(seed);
        for (int turn = 0; turn < times; ++turn) {
            node.script(random_change(random));
        }
    }

    void expect_exact()
    {
        const auto rows = wanted(cluster_, std::string("SELECT ") + kEverything + kFrom);
        EXPECT_EQ(cluster_.rows_once(kShown + std::string("public.by_clerk"), rows), rows);
        EXPECT_EQ(cluster_.verify("by_clerk"), "0/0/0");
    }

    ProjectedCluster cluster_;
};

TEST_F(Aggregate, IsWhatItsSelectGivesAndItsTotalsAgreeWithItsRowsAtEveryMoment)
{
    std::atomic<bool> done = false;
    std::jthread writing([&] {
        change(1, 700);
        done = true;
    });
    cluster_.create("by_clerk", "clerk", std::string("SELECT ") + kEverything + kFrom);
    int looks = 0;
    for (; !done || looks < 30; ++looks) {
        ASSERT_EQ(check(cluster_, "by_clerk").different, 0) << "look " << looks;
        sleep_for(10ms, {});
    }
    writing.join();
    ASSERT_TRUE(cluster_.wait_until("SELECT state = 'live' FROM keyshift.projection"));
    expect_exact();
    EXPECT_GT(check(cluster_, "by_clerk").groups, 20);
    for (const std::size_t node : {0U, 1U}) {
        pg::Connection connection = cluster_.connect(node);
        EXPECT_EQ(one(connection, "SELECT count(*) FROM keyshift.by_clerk__t1 WHERE _n = 0"), "0")
            << "no empty group stays";
    }
}

/// Scans of leaves of the rows in the plan of a query.
std::size_t scans_of_rows(pg::Connection& node, const std::string& query)
{
    const std::string plan = one(node, "EXPLAIN (FORMAT JSON) " + query);
    const std::string scan = R"("Relation Name": "by_clerk__g1)";
    std::size_t count = 0;
    for (std::size_t at = plan.find(scan); at != std::string::npos; at = plan.find(scan, at + 1)) {
        ++count;
    }
    return count;
}

TEST_F(Aggregate, TheRowsOfAGroupAreReadOnceAndOnlyWhenAskedFor)
{
    cluster_.create_and_wait("by_clerk", "clerk", std::string("SELECT ") + kEverything + kFrom);
    for (const std::size_t node : {0U, 1U}) {
        pg::Connection connection = cluster_.connect(node);
        const auto leaves =
            connection.query("SELECT FROM pg_inherits WHERE inhparent = 'keyshift.by_clerk__g1'::regclass");
        EXPECT_EQ(scans_of_rows(connection, "SELECT * FROM public.by_clerk"), static_cast<std::size_t>(leaves.rows()));
        EXPECT_EQ(scans_of_rows(connection, "SELECT clerk, n, total, any_paid FROM public.by_clerk"), 0U);
    }
}

TEST_F(Aggregate, ThePlannerKnowsOfItsTablesOnceItIsFilled)
{
    cluster_.create_and_wait("by_clerk", "clerk", std::string("SELECT ") + kEverything + kFrom);
    const auto known = [&](std::size_t node, const char* table) {
        pg::Connection connection = cluster_.connect(node);
        return one(connection,
                   std::string(
                       "SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'keyshift' AND inherited AND tablename = '") +
                       table + "'") == "t";
    };
    for (const std::size_t node : {0U, 1U}) {
        for (const char* table : {"by_clerk__g1", "by_clerk__t1"}) {
            for (int looks = 0; looks < 1000 && !known(node, table); ++looks) {
                sleep_for(20ms, {});
            }
            EXPECT_TRUE(known(node, table)) << table;
        }
    }
}

TEST_F(Aggregate, EventsThatComeAgainChangeNothing)
{
    cluster_.create_and_wait("by_clerk", "clerk", std::string("SELECT ") + kEverything + kFrom);
    change(2, 500);
    expect_exact();
    cluster_.stop_projections();
    for (const std::size_t node : {0U, 1U}) {
        cluster_.connect(node).script("DELETE FROM keyshift.projection_progress");
    }
    change(3, 200);
    cluster_.start_projections();
    expect_exact();
}

TEST_F(Aggregate, ADamagedTotalIsFoundAndRepaired)
{
    cluster_.create_and_wait("by_clerk", "clerk", std::string("SELECT ") + kEverything + kFrom);
    expect_exact();
    for (const std::size_t node : {0U, 1U}) {
        cluster_.connect(node).script("UPDATE keyshift.by_clerk__t1 SET _n = _n + 1 WHERE _g1 = 3");
    }
    const auto found = projections::verify(cluster_.catalog(), "by_clerk", {});
    EXPECT_GT(found.at("groups_different"), 0);
    EXPECT_EQ(found.at("different"), found.at("groups_different"));
    EXPECT_EQ(projections::repair(cluster_.catalog(), "by_clerk", {}).at("repaired"), found.at("different"));
    expect_exact();
}

TEST_F(Aggregate, ANewGenerationTakesItsPlaceAndDropLeavesNothing)
{
    const std::string before[] = {cluster_.traces(0), cluster_.traces(1)};
    cluster_.create_and_wait("by_clerk", "clerk", std::string("SELECT ") + kEverything + kFrom);
    projections::rebuild(cluster_.catalog(), "by_clerk", false);
    change(4, 200);
    ASSERT_TRUE(
        cluster_.wait_until("SELECT count(*) = 1 AND min(generation) = 2 AND bool_and(serving) AND min(state) = 'live' "
                            "FROM keyshift.projection WHERE name = 'by_clerk'"));
    expect_exact();
    EXPECT_EQ(projections::show(cluster_.catalog(), "by_clerk").at("key"), nlohmann::json({"clerk"}));
    projections::drop(cluster_.catalog(), "by_clerk");
    EXPECT_EQ(cluster_.traces(0), before[0]);
    EXPECT_EQ(cluster_.traces(1), before[1]);
}

/// Two writers of one register (stream and backfill, say): the one that comes second counts what the first one wrote.
TEST_F(Aggregate, TheSecondWriterOfAGroupBeginsBehindTheFirstOnesCommit)
{
    cluster_.create_and_wait("by_user", "user_id", "SELECT user_id, count(*) AS n FROM likes GROUP BY user_id");
    cluster_.stop_projections();
    const projections::Definition definition = projections::read_projection(cluster_.catalog(), "by_user").definition;
    projections::Target target(cluster_.catalog().settings(), definition, projections::Target::Progress::elsewhere);
    projections::RowChange row{{"7", "1", "9001"}, {Epoch{1}, Lsn{2'000'000'000'000'000}, 0}, true, {}, {}};
    ASSERT_EQ(definition.base_columns.at(0).name + definition.base_columns.at(1).name, "user_idpost_id");
    const std::string node = target.owner(target.bucket_of(row));
    pg::Connection first(catalog::node(cluster_.catalog(), node).connection("test"));
    const std::string count = "SELECT coalesce(sum(n), 0) FROM public.by_user WHERE user_id = 7";
    const int before = std::stoi(one(first, count));
    pg::Transaction transaction(first);
    first.query("SELECT FROM keyshift.local_bucket WHERE group_name = 'by_user' FOR SHARE");
    first.query(projections::upsert_statement(definition, projections::Batch::any),
                {"{7}", "{1}", "{9001}", "{1}", "{1000000000000000}", "{0}", "{t}"});
    std::jthread second([&] { projections::BatchWriter(definition, target, 0).write({&row}, {}, {}); });
    pg::Connection watch(catalog::node(cluster_.catalog(), node).connection("test"));
    for (int tries = 0; tries < 1500; ++tries) {
        if (one(watch,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") !=
            "0") {
            break;
        }
        sleep_for(20ms, {});
    }
    transaction.commit();
    second.join();
    EXPECT_EQ(std::stoi(one(watch, count)), before + 1);
    EXPECT_EQ(check(cluster_, "by_user").different, 0);
}

TEST_F(Aggregate, RefusesWhatCannotBeExact)
{
    const auto refusal = [&](const std::string& sql) -> std::string {
        try {
            cluster_.create("refused", "clerk_id", sql);
        } catch (const RefusedError& error) {
            return error.parts().why;
        }
        return "accepted";
    };
    const std::pair<const char*, const char*> cases[] = {
        {"SELECT clerk_id, sum(price::float8) AS x FROM sales GROUP BY 1", "floating point"},
        {"SELECT clerk_id, avg(pieces::real) AS x FROM sales GROUP BY 1", "floating point"},
        {"SELECT clerk_id, array_agg(name) AS x FROM sales GROUP BY 1", "order"},
        {"SELECT clerk_id, max(at) - now() AS x FROM sales GROUP BY 1", "changes with time"},
        {"SELECT clerk_id, count(*) FILTER (WHERE at > now()) AS x FROM sales GROUP BY 1", "changes with time"},
        {"SELECT clerk_id, regr_count(price, pieces) AS x FROM sales GROUP BY 1", "aggregate"},
        {"SELECT shop_id, count(*) AS x FROM sales GROUP BY 1", "key column clerk_id is not selected"},
        {"SELECT clerk_id + 0 AS clerk_id, count(*) AS x FROM sales GROUP BY sales.clerk_id", "not grouped by"},
        {"SELECT clerk_id, upper(name) AS region, count(*) AS x FROM sales GROUP BY clerk_id, region", "region"},
        {"SELECT clerk_id, sum(name) AS x FROM sales GROUP BY 1", "function sum(text) does not exist"}};
    EXPECT_NO_THROW(cluster_.create("days", "clerk_id",
                                    "SELECT clerk_id, timezone('UTC', at)::date AS day, sum(price) AS total FROM sales "
                                    "GROUP BY 1, 2 HAVING sum(price) > 0"));
    for (const auto& [sql, why] : cases) {
        EXPECT_NE(refusal(sql).find(why), std::string::npos) << sql << "\n" << refusal(sql);
    }
}

} // namespace
} // namespace keyshift::test
