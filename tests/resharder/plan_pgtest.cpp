/// Plans on real servers: what they read, and what they refuse.

#include "catalog/operations/node_options.hpp"
#include "core/backoff.hpp"
#include "core/json.hpp"
#include "tests/resharder/two_nodes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

ErrorParts refused(const std::function<void()>& what)
{
    try {
        what();
    } catch (const RefusedError& error) {
        return error.parts();
    }
    ADD_FAILURE() << "nothing was refused";
    return {};
}

TEST(PlanByLoad, CountsTheRowsThatAreWrittenMeanwhile)
{
    TwoNodes cluster;
    cluster.load(400, 0);
    cluster.wait_until("n1", "SELECT sum(n_tup_ins) = 400 FROM pg_stat_user_tables WHERE relname LIKE 'users_b%'");
    resharder::PlanWish wish;
    wish.by = "load";
    wish.sample = 3s;
    pg::Connection catalog = cluster.connect("n1");
    EXPECT_TRUE(resharder::plan(catalog, wish).at("moves").empty()) << "what was written before does not count";
    std::jthread writer([&cluster](std::stop_token stop) {
        pg::Connection n1 = cluster.connect("n1");
        while (sleep_for(20ms, stop)) {
            n1.script("UPDATE public.users_b2 SET name = name; UPDATE public.users_b3 SET name = name");
            n1.query("SELECT pg_stat_force_next_flush()");
        }
    });
    const auto plan = resharder::plan(catalog, wish);
    writer.request_stop();
    ASSERT_EQ(plan.at("moves").size(), 1U) << plan.dump(2);
    EXPECT_THAT(plan.at("moves").at(0).at("bucket").get<int>(), testing::AnyOf(2, 3));
    EXPECT_THAT(plan.at("moves").at(0).at("why").get<std::string>(), testing::HasSubstr("rows/s"));
    EXPECT_GT(plan.at("nodes").at(1).at("writes_per_second_after").get<double>(), 0);
}

TEST(PlanByRows, MovesManySmallRowsRatherThanFewLargeOnes)
{
    TwoNodes cluster;
    pg::Connection n1 = cluster.administrator("n1");
    n1.script(
        "INSERT INTO public.users SELECT i, CASE keyshift.bucket_of('public.users', i::text) WHEN 0 THEN (SELECT string_agg(md5(i || '.' || j), '') FROM generate_series(1, 400) j) "
        "ELSE 'x' END FROM generate_series(1, 4000) i WHERE keyshift.bucket_of('public.users', i::text) = 1 OR i % 10 = 0;"
        "ANALYZE public.users");
    pg::Connection catalog = cluster.connect("n1");
    const auto moved = [&](const std::string& by) {
        resharder::PlanWish wish;
        wish.by = by;
        return resharder::plan(catalog, wish);
    };
    const auto plan = moved("rows");
    ASSERT_EQ(plan.at("moves").size(), 1U) << plan.dump(2);
    EXPECT_EQ(plan.at("moves").at(0).at("bucket"), 1);
    EXPECT_THAT(plan.at("moves").at(0).at("why").get<std::string>(), testing::HasSubstr("rows, n2 holds 0"));
    EXPECT_EQ(plan.at("nodes").at(1).at("rows_after"),
              std::stoll(cluster.value("n1", "SELECT count(*) FROM public.users_b1")));
    EXPECT_NE(moved("size").at("moves"), plan.at("moves"));
}

TEST(NodeOptions, CapacityPinsAndDiskLimitReachThePlan)
{
    TwoNodes cluster;
    cluster.load(100, 100);
    pg::Connection catalog = cluster.connect("n1");
    const auto set = [&](catalog::NodeOptions options, const std::string& node = "n2") {
        options.node = node;
        return catalog::set_node_options(catalog, options);
    };
    EXPECT_EQ(set({.node = "", .capacity = 3.0, .disk_limit = {}, .pin = {}, .unpin = {}}).at("capacity"), 3.0);
    EXPECT_EQ(resharder::plan(catalog, {}).at("moves").size(), 3U);
    set({.node = "", .capacity = {}, .disk_limit = {}, .pin = {"users/0", "users/1"}, .unpin = {}}, "n1");
    EXPECT_EQ(resharder::plan(catalog, {}).at("moves").size(), 2U);
    EXPECT_THAT(refused([&] { resharder::drain(catalog, "n1", false); }).next,
                testing::HasSubstr("keyshift node set n1 --unpin users/0"));
    EXPECT_EQ(cluster.value("n1", "SELECT state FROM keyshift.node WHERE name = 'n1'"), "active");
    EXPECT_THAT(
        refused([&] { set({.node = "", .capacity = {}, .disk_limit = {}, .pin = {"users/0"}, .unpin = {}}); }).why,
        "it is pinned to n1");
    EXPECT_THAT(
        refused([&] { set({.node = "", .capacity = {}, .disk_limit = {}, .pin = {"users/4"}, .unpin = {}}); }).why,
        testing::HasSubstr("has no bucket 4"));
    set({.node = "", .capacity = {}, .disk_limit = {}, .pin = {}, .unpin = {"users/0", "users/1"}}, "n1");
    set({.node = "", .capacity = {}, .disk_limit = 1000, .pin = {}, .unpin = {}});
    EXPECT_EQ(resharder::plan(catalog, {}).at("nodes").at(1).at("disk_short"), true);
    EXPECT_THAT(refused([&] { resharder::start(catalog, {}, std::nullopt); }).why,
                testing::HasSubstr("its disk limit is 1000"));
    EXPECT_EQ(cluster.value("n1", "SELECT count(*) FROM keyshift.job"), "0");
    set({.node = "", .capacity = {}, .disk_limit = 0, .pin = {}, .unpin = {}});
    EXPECT_TRUE(resharder::plan(catalog, {}).at("nodes").at(1).at("disk_short").is_null());
}

TEST(Estimate, IsAGuessUntilSomethingWasMoved)
{
    TwoNodes cluster;
    cluster.load(100, 100);
    pg::Connection catalog = cluster.connect("n1");
    EXPECT_EQ(resharder::plan(catalog, {}).at("seconds_measured"), false);
    TwoNodes::Running running(cluster, quick());
    ASSERT_EQ(cluster.reshard({1}, "n2"), "done");
    const auto plan = resharder::plan(catalog, {});
    EXPECT_EQ(plan.at("seconds_measured"), true);
    EXPECT_GT(plan.at("seconds").get<double>(), 0);
}

TEST(MoveAndDdl, AMoveWaitsBeforeItsCopyWhileAStatementRuns)
{
    TwoNodes cluster;
    cluster.load(100, 100);
    pg::Connection catalog = cluster.connect("n1");
    catalog.script("INSERT INTO keyshift.ddl (statement, groups, state, backend, backend_start) "
                   "VALUES ('ALTER TABLE users ...', '{users}', 'running', 0, now())");
    TwoNodes::Running running(cluster);
    const std::int64_t job = cluster.start({1}, "n2");
    cluster.wait_until("n1", "SELECT waiting_for LIKE '%keyshift ddl%' FROM keyshift.move");
    EXPECT_EQ(cluster.value("n1", "SELECT state FROM keyshift.move"), "planned");
    catalog.script("UPDATE keyshift.ddl SET state = 'waiting'"); // its session is gone
    EXPECT_EQ(cluster.wait_job(job), "done");
}

} // namespace
} // namespace keyshift::test
