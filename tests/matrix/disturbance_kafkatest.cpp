/// Transfers go on and buckets move to and fro, while something else goes on as well. INV-MOV-1, INV-MOV-2, INV-CDC-2.

#include "tests/matrix/verdict.hpp"
#include "tests/support/private_kafka.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

constexpr int kUsers = 64;
constexpr int kRounds = 4;

class Disturbance : public testing::Test {
protected:
    /// Bucket 1 goes there and back, and in each round something is done while it moves.
    void moves_beside(const std::function<void(int round)>& disturb)
    {
        for (int round = 0; round < kRounds; ++round) {
            const std::string job = cluster_.start_move(1, round % 2 == 0 ? 2 : 1);
            disturb(round);
            ASSERT_TRUE(cluster_.comes_true(
                kCatalog, fmt::format("SELECT bool_and(state = 'done') FROM keyshift.move WHERE job = {}", job), 120))
                << cluster_.daemon().output();
        }
        const int then = bank_.transfers();
        for (int tries = 0; bank_.transfers() < then + 20 && tries < 3000; ++tries) {
            std::this_thread::sleep_for(10ms);
        }
        EXPECT_GE(bank_.transfers(), then + 20);
        bank_.pause();
        EXPECT_EQ(judge_nodes(cluster_, 1, 1), "");
        EXPECT_EQ(judge_nodes(cluster_, 2, 1), "");
        EXPECT_EQ(judge_rows(bank_, watch_), "");
    }

    FaultyCluster cluster_{kUsers};
    Bank bank_{cluster_, {1, 2}, kUsers};
    TopicWatch watch_{cluster_};
};

TEST_F(Disturbance, ASecondReshardIsRefusedAndDisturbsNothing)
{
    moves_beside([this](int) {
        try {
            cluster_.start_move(2, 2);
            ADD_FAILURE() << "two jobs at once";
        } catch (const std::runtime_error& error) {
            EXPECT_NE(std::string(error.what()).find("exits with 5"), std::string::npos) << error.what();
        }
    });
}

TEST_F(Disturbance, ColumnsComeAndGoBetweenMoves)
{
    moves_beside([this](int round) {
        cluster_.must({"ddl",
                       round % 2 == 0 ? "ALTER TABLE users ADD COLUMN note text DEFAULT 'n'"
                                      : "ALTER TABLE users DROP COLUMN note",
                       "--wait", "--yes"});
    });
}

TEST_F(Disturbance, NodesAndDaemonAreRestartedInTurn)
{
    moves_beside([this](int round) {
        if (round % 2 == 0) {
            cluster_.server(1 + round / 2).stop("immediate");
            cluster_.server(1 + round / 2).start();
        } else {
            cluster_.kill_daemon();
            cluster_.start_daemon();
        }
    });
}

TEST(BrokerAway, HoldsTheFenceAndNoClient)
{
    PrivateKafka broker;
    FaultyCluster cluster(kUsers, broker.settings());
    Bank bank(cluster, {1, 2}, kUsers);
    TopicWatch watch(cluster);
    // Every topic is known.
    for (int tries = 0; bank.transfers() < 20 && tries < 3000; ++tries) {
        std::this_thread::sleep_for(10ms);
    }
    bank.pause();
    ASSERT_EQ(judge_rows(bank, watch), "");
    bank.resume();
    broker.kill();
    cluster.start_move(1, 2);
    ASSERT_TRUE(
        cluster.comes_true(kCatalog, "SELECT state = 'attached' AND waiting_for LIKE '%Kafka%' FROM keyshift.move"))
        << cluster.daemon().output();
    const int then = bank.transfers();
    for (int tries = 0; bank.transfers() < then + 20 && tries < 3000; ++tries) {
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_GE(bank.transfers(), then + 20);
    EXPECT_EQ(cluster.value(1, "SELECT state FROM keyshift.local_bucket WHERE bucket = 1"), "open");
    broker.resume();
    EXPECT_TRUE(cluster.comes_true(kCatalog, "SELECT state = 'done' FROM keyshift.move", 120))
        << cluster.daemon().output();
    bank.pause();
    EXPECT_EQ(judge_nodes(cluster, 1, 2), "");
    EXPECT_EQ(judge_rows(bank, watch), "");
}

} // namespace
} // namespace keyshift::test
