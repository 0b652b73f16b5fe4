/// --skip-null: rows without a key are in no projection, and come and go as they get and lose one.

#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/projections/projected_cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

class SkipNull : public testing::Test {
protected:
    SkipNull()
    {
        cluster_.connect(0).script(
            "CREATE TABLE public.tasks (team_id bigint, task_id bigint, worker text, hours int, PRIMARY KEY (team_id, task_id)); "
            "INSERT INTO public.tasks SELECT i % 7, i, CASE WHEN i % 3 > 0 THEN 'w' || i % 5 END, i FROM generate_series(1, 90) i");
        cluster_.distribute("tasks", "team_id");
    }

    nlohmann::json create(const std::string& name, const std::string& sql, bool apply)
    {
        projections::CreateRequest request;
        request.name = name;
        request.key = {"worker"};
        request.sql = sql;
        request.buckets = 4;
        request.apply = apply;
        request.skip_null = true;
        return projections::create(cluster_.catalog(), request);
    }

    void expect_exact(const std::string& name, const std::string& sql)
    {
        pg::Connection node = cluster_.connect(0);
        std::vector<std::string> wanted;
        const pg::Result rows = node.query("SELECT r::text FROM (" + sql + ") r WHERE worker IS NOT NULL ORDER BY 1");
        for (int row = 0; row < rows.rows(); ++row) {
            wanted.emplace_back(rows.text(row, 0));
        }
        std::sort(wanted.begin(), wanted.end());
        EXPECT_EQ(cluster_.rows_once("SELECT r::text FROM public." + name + " r", wanted), wanted);
        EXPECT_EQ(cluster_.verify(name), "0/0/0");
        EXPECT_GT(wanted.size(), 0U);
    }

    void change()
    {
        pg::Connection node = cluster_.connect(0);
        for (int turn = 0; turn < 60; ++turn) {
            const std::string task = " WHERE task_id = 1 + " + std::to_string(turn * 7 % 90);
            node.script(turn % 4 == 0   ? "UPDATE public.tasks SET worker = NULL" + task
                        : turn % 4 == 1 ? "UPDATE public.tasks SET worker = 'w' || hours % 4, hours = hours + 1" + task
                        : turn % 4 == 2 ? "DELETE FROM public.tasks" + task
                                        : "INSERT INTO public.tasks VALUES (1, " + std::to_string(1000 + turn) +
                                              ", nullif('w' || " + std::to_string(turn % 8) + ", 'w7'), 1)");
        }
    }

    ProjectedCluster cluster_;
};

const char* const kRows = "SELECT worker, team_id, task_id, hours FROM public.tasks WHERE hours <> 13";
const char* const kGroups = "SELECT worker, count(*) AS n, sum(hours) AS hours FROM public.tasks GROUP BY worker";
const char* const kJoin =
    "SELECT t.worker, t.task_id, o.hours FROM public.tasks t JOIN public.tasks o ON o.task_id = t.task_id";

TEST_F(SkipNull, RowsComeAndGoWithTheirKeyAndTheReplicaIdentityGoesBack)
{
    const std::string before[] = {cluster_.traces(0), cluster_.traces(1)};
    try {
        create("by_worker", kRows, false);
        ADD_FAILURE() << "accepted";
    } catch (const RefusedError& error) {
        EXPECT_THAT(error.parts().next, HasSubstr("REPLICA IDENTITY FULL"));
    }
    cluster_.connect(0).script("ANALYZE public.tasks");
    EXPECT_EQ(create("by_worker", kRows, true).at("estimated_rows"), 90);
    create("groups", kGroups, true);
    EXPECT_EQ(create("pairs", kJoin, true).at("tables").at(1).at("writes_per_change"), 2) << "on every node";
    ASSERT_TRUE(cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection"));
    change();
    expect_exact("by_worker", kRows);
    expect_exact("groups", kGroups);
    expect_exact("pairs", kJoin);
    EXPECT_EQ(one(cluster_.catalog(), "SELECT count(*) FROM keyshift.rejection"), "0");
    for (const char* name : {"pairs", "by_worker", "groups"}) {
        projections::drop(cluster_.catalog(), name);
    }
    EXPECT_EQ(cluster_.traces(0), before[0]);
    EXPECT_EQ(cluster_.traces(1), before[1]);
}

TEST_F(SkipNull, ARowThatLostItsKeyUnseenIsFoundAndRepaired)
{
    create("by_worker", kRows, true);
    ASSERT_TRUE(cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.projection"));
    expect_exact("by_worker", kRows);
    cluster_.connect(0).script("UPDATE public.tasks SET worker = NULL WHERE task_id = 4");
    expect_exact("by_worker", kRows);
    for (const std::size_t node : {0U, 1U}) {
        cluster_.connect(node).script("UPDATE keyshift.by_worker__g1 SET _live = true WHERE task_id = 4");
    }
    const auto found = projections::verify(cluster_.catalog(), "by_worker", {});
    EXPECT_EQ(found.at("extra"), 1) << found.dump(2);
    EXPECT_EQ(projections::repair(cluster_.catalog(), "by_worker", {}).at("repaired"), 1);
    expect_exact("by_worker", kRows);
}

} // namespace
} // namespace keyshift::test
