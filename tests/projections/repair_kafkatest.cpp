/// verify and repair while writes go on, with everything real.

#include "tests/projections/projected_cluster.hpp"

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "projections/commands/settled_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

const char* const kByUser = "SELECT user_id, like_id, amount, content FROM likes";

/// One row changes its key there and back, and others their content, without a pause.
std::jthread hot_writer(const ProjectedCluster& cluster)
{
    return std::jthread([connection = cluster.connect(0)](std::stop_token stop) mutable {
        for (int turn = 0; !stop.stop_requested(); ++turn) {
            const std::string n = std::to_string(turn);
            connection.script("UPDATE public.likes SET user_id = 99 WHERE like_id = 1; "
                              "UPDATE public.likes SET user_id = 1 WHERE like_id = 1; "
                              "UPDATE public.likes SET content = 'turn " +
                              n + "' WHERE like_id = 300 + " + n +
                              " % 100; DELETE FROM public.likes WHERE like_id = 2; "
                              "INSERT INTO public.likes VALUES (2, 2, 2, 2, 'like 2')");
        }
    });
}

/// Spoils a value, takes a row away and puts one under a key where it is not; each of a row that no writer touches.
void spoil(ProjectedCluster& cluster)
{
    for (const std::size_t node : {0U, 1U}) {
        pg::Connection connection = cluster.connect(node);
        const std::string owned =
            one(connection, "SELECT coalesce(string_agg(bucket::text, ','), '-1') FROM keyshift.local_bucket "
                            "WHERE group_name = 'by_user' AND state = 'open'");
        const std::string here = " AND keyshift.bucket_of('public.by_user', user_id::text) IN (" + owned + ")";
        connection.script("UPDATE keyshift.by_user__g1 SET content = 'spoilt' WHERE like_id IN (101, 102)" + here);
        connection.script("DELETE FROM keyshift.by_user__g1 WHERE like_id IN (103, 104)" + here);
        connection.script(
            "INSERT INTO keyshift.by_user__g1 (user_id, like_id, _pk_post_id, content, _epoch, _lsn, _seq, _live) "
            "SELECT u, 105, 5, 'ghost', 1, 1, 0, true FROM generate_series(200, 203) u "
            "WHERE keyshift.bucket_of('public.by_user', u::text) IN (" +
            owned + ") ON CONFLICT DO NOTHING");
        connection.script(
            "INSERT INTO keyshift.by_user__g1 (user_id, like_id, _pk_post_id, content, _epoch, _lsn, _seq, _live) "
            "SELECT 7, 7777, 1, 'never was', 1, 1, 0, true WHERE keyshift.bucket_of('public.by_user', '7') IN (" +
            owned + ")");
    }
}

TEST(ProjectionVerify, GivesNoFalseAlarmForRowsThatAreNeverAtRest)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    const std::jthread writing = hot_writer(cluster);
    for (int turn = 0; turn < 5; ++turn) {
        EXPECT_EQ(cluster.verify("by_user"), "0/0/0") << turn;
    }
}

TEST(ProjectionRepair, MendsWhatVerifyFindsWhileWritesGoOn)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    {
        const std::jthread writing = hot_writer(cluster);
        spoil(cluster);
        EXPECT_EQ(cluster.verify("by_user"), "2/1/3");
        const auto repaired = projections::repair(cluster.catalog(), "by_user", {});
        EXPECT_EQ(repaired.at("found"), 6) << repaired.dump();
        EXPECT_EQ(repaired.at("repaired"), 6);
        EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    }
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_THAT(
        cluster.rows("SELECT format('%s %s %s', user_id, like_id, content) FROM public.by_user WHERE like_id IN "
                     "(101, 103, 105, 7777)"),
        ElementsAre("1 101 like 101", "3 103 like 103", "5 105 like 105"));
}

/// The events of a change that the repair has read already come behind it, and change nothing.
TEST(ProjectionRepair, OfAProjectionThatIsBehindLosesToNoOlderEvent)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    projections::pause(cluster.catalog(), "by_user");
    ASSERT_TRUE(cluster.wait_until("SELECT state = 'paused' FROM keyshift.projection"));
    cluster.connect(0).script(
        "UPDATE public.likes SET user_id = 50 WHERE like_id = 1; UPDATE public.likes SET user_id = 51 "
        "WHERE like_id = 1; DELETE FROM public.likes WHERE like_id = 2");
    ASSERT_TRUE(cluster.wait_until_captured());
    EXPECT_EQ(projections::repair(cluster.catalog(), "by_user", {}).at("repaired"), 2);
    const std::string both = "SELECT user_id || ' ' || like_id FROM public.by_user WHERE like_id IN (1, 2)";
    EXPECT_THAT(cluster.rows(both), ElementsAre("51 1"));
    projections::resume(cluster.catalog(), "by_user");
    cluster.connect(0).script("UPDATE public.likes SET user_id = 52 WHERE like_id = 3");
    EXPECT_EQ(cluster.rows_once("SELECT user_id FROM public.by_user WHERE like_id = 3", {"52"}),
              (std::vector<std::string>{"52"}));
    EXPECT_THAT(cluster.rows(both), ElementsAre("51 1"));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
}

/// Else the tombstone of a row whose insert had committed, but was not visible yet, would win over it.
TEST(ProjectionRepair, ARowIsGoneOnlyWhenNoTransactionFromBeforeCanBringIt)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    pg::Connection writer = cluster.connect(0);
    writer.script("BEGIN; INSERT INTO public.likes VALUES (1, 5001, 1, 1, 'in flight')");
    const auto definition = projections::read_projection(cluster.catalog(), "by_user").definition;
    auto reading = std::async(std::launch::async, [&] {
        pg::Connection catalog(cluster.catalog().settings());
        return projections::SettledRows(catalog, definition).read({R"(["1", "5001"])"}, {});
    });
    pg::Connection watcher = cluster.connect(0);
    for (int tries = 0;
         tries < 1500 && one(watcher, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                                      "AND application_name LIKE '%projection repair%' AND query LIKE "
                                      "'%pg_snapshot_xmin%'") == "0";
         ++tries) {
        sleep_for(20ms, {});
    }
    writer.script("COMMIT");
    const auto rows = reading.get();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_TRUE(rows[0].present);
    EXPECT_EQ(rows[0].base[1], "5001");
}

} // namespace
} // namespace keyshift::test
