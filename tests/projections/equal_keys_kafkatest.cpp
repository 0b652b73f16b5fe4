/// Keys that are equal and read differently ("Bob" and "bob" of citext, 0 and -0): one register, whose newest spelling is shown (INV-PRJ-1).

#include "tests/projections/deliveries.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace keyshift::test {
namespace {

struct Kind {
    const char* name;
    const char* sql;
};
const Kind kKinds[] = {
    {"rows", "SELECT user_id, fact_id, tag, amount FROM public.tags"},
    {"shown", "SELECT user_id, fact_id, tag, amount FROM public.tags WHERE amount > 0"},
    {"groups",
     "SELECT user_id, count(*) AS n, sum(amount) AS total, min(tag::text) AS least FROM public.tags GROUP BY user_id"}};

std::vector<std::string> wanted(pg::Connection& base, const Kind& kind)
{
    const pg::Result rows = base.query(std::string("SELECT r::text FROM (") + kind.sql + ") r");
    std::vector<std::string> all;
    for (int row = 0; row < rows.rows(); ++row) {
        all.emplace_back(rows.text(row, 0));
    }
    std::sort(all.begin(), all.end());
    return all;
}

void expect_exact_in_every_order(const std::string& type, const std::string& history)
{
    ProjectedCluster cluster;
    pg::Connection base = cluster.connect(0);
    for (const std::size_t node : {0U, 1U}) {
        cluster.connect(node).script("CREATE EXTENSION IF NOT EXISTS citext SCHEMA public");
    }
    base.script("CREATE TABLE public.tags (tag " + type +
                ", fact_id bigint, user_id bigint NOT NULL, amount int, PRIMARY KEY (tag, fact_id))");
    cluster.distribute("tags", "fact_id");
    for (const Kind& kind : kKinds) {
        cluster.create(kind.name, "user_id", kind.sql);
    }
    ASSERT_TRUE(cluster.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection"));
    cluster.stop_projections();
    base.script(history);
    const auto events = events_of(cluster, "tags", "fact_id");
    ASSERT_GT(events.size(), 2U);
    for (const Kind& kind : kKinds) {
        SCOPED_TRACE(kind.name);
        const auto rows = wanted(base, kind);
        const std::string view = std::string("SELECT r::text FROM public.") + kind.name + " r";
        Deliveries deliveries(cluster, kind.name);
        for (const auto& order : orders(events.size(), 40)) {
            deliveries.clear();
            Events all;
            for (const std::size_t at : order) {
                all.push_back(&events[at]);
                deliveries.deliver({all.back()});
                ASSERT_EQ(deliveries.wrong_totals(), 0);
            }
            ASSERT_EQ(cluster.rows(view), rows) << testing::PrintToString(order);
        }
        deliveries.clear();
    }
    cluster.start_projections(); // with all of it in one batch
    for (const Kind& kind : kKinds) {
        const auto rows = wanted(base, kind);
        EXPECT_EQ(cluster.rows_once(std::string("SELECT r::text FROM public.") + kind.name + " r", rows), rows)
            << kind.name;
        EXPECT_EQ(cluster.verify(kind.name), "0/0/0") << kind.name;
    }
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.rejection"), "0");
}

TEST(EqualKeys, OfWhichOnlyTheLettersCaseChangesAreOneRow)
{
    expect_exact_in_every_order(
        "public.citext",
        "BEGIN; INSERT INTO public.tags VALUES ('Bob', 1001, 1001, 1); UPDATE public.tags SET tag = 'BOB'; "
        "UPDATE public.tags SET tag = 'bob', amount = 2; COMMIT");
}

TEST(EqualKeys, OfWhichOnlyTheSignOfZeroChangesAreOneRow)
{
    expect_exact_in_every_order("float8",
                                "INSERT INTO public.tags VALUES (0, 1001, 1001, 1); UPDATE public.tags SET tag = '-0'; "
                                "UPDATE public.tags SET tag = 0, amount = 2; UPDATE public.tags SET tag = '-0'");
}

} // namespace
} // namespace keyshift::test
