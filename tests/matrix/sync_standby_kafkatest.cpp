/// A donor whose synchronous standby stalls: commits can be decoded before they are visible. INV-MOV-1, INV-CDC-2.

#include "tests/matrix/verdict.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

constexpr int kUsers = 64;
constexpr int kBucket = 1;

TEST(SyncStandby, StalledDuringTheCopyNeitherLosesNorDoublesAWrite)
{
    FaultyCluster cluster(kUsers);
    PrivatePostgres standby(cluster.server(1), {"hot_standby = on"});
    cluster.connect(1).script("ALTER SYSTEM SET synchronous_standby_names = 'walreceiver'");
    cluster.connect(1).script("SELECT pg_reload_conf()");
    ASSERT_TRUE(cluster.comes_true(1, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'"));
    Bank bank(cluster, {1, 2}, kUsers);
    TopicWatch watch(cluster);
    cluster.kill_daemon();
    const std::string job = cluster.start_move(kBucket, 2);
    const std::string gate = cluster.directory().path() + "/gate";
    cluster.start_daemon("move.copying.persisted=wait:" + gate + "@1");
    ASSERT_TRUE(cluster.daemon().wait_for_output("failpoint move.copying.persisted fired", 60s));
    ASSERT_TRUE(cluster.comes_true(1, "SELECT active FROM pg_replication_slots WHERE slot_type = 'logical'"));
    const int then = bank.transfers();
    standby.stop("immediate");
    // A transfer whose commit is written and which nobody sees.
    ASSERT_TRUE(cluster.comes_true(
        1, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%posts%'"));
    const std::string written = cluster.value(1, "SELECT pg_current_wal_flush_lsn()");
    ASSERT_TRUE(cluster.comes_true(
        kCatalog, fmt::format("SELECT confirmed_lsn >= '{}' FROM keyshift.stream_status WHERE node = 'n1'", written)))
        << "the stream has delivered it";
    cluster.directory().write("gate", "");
    // The copy asks for its snapshot again and again.
    ASSERT_TRUE(cluster.comes_true(
        1,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE 'keyshift move %' AND query LIKE '%ROLLBACK%'"));
    EXPECT_EQ(cluster.value(kCatalog, "SELECT state FROM keyshift.move"), "copying");
    standby.start();
    EXPECT_TRUE(cluster.comes_true(kCatalog, "SELECT state = 'done' FROM keyshift.move")) << cluster.daemon().output();
    EXPECT_GT(bank.transfers(), then);
    bank.pause();
    EXPECT_EQ(judge_nodes(cluster, kBucket, 2), "");
    EXPECT_EQ(judge_rows(bank, watch), "");
    cluster.connect(1).script("ALTER SYSTEM RESET synchronous_standby_names");
    cluster.connect(1).script("SELECT pg_reload_conf()");
}

} // namespace
} // namespace keyshift::test
