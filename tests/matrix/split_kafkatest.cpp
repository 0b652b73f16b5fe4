/// A bucket is split, and its parts move to and fro, while transfers go on and the daemon sends them to Kafka: each key's events are
/// there in order, each once. INV-MOV-1, INV-MOV-2, INV-CDC-2.

#include "tests/matrix/verdict.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

constexpr int kUsers = 128;

class SplitInStream : public testing::Test {
protected:
    void transfers_go_on()
    {
        const int then = bank_.transfers();
        for (int tries = 0; bank_.transfers() < then + 20 && tries < 3000; ++tries) {
            std::this_thread::sleep_for(10ms);
        }
        ASSERT_GE(bank_.transfers(), then + 20);
    }

    void split(int bucket)
    {
        transfers_go_on();
        const int then = bank_.transfers();
        cluster_.must({"reshard", "split", "--bucket", std::to_string(bucket)});
        EXPECT_GT(bank_.transfers(), then) << "nobody wrote during the split of " << bucket;
        transfers_go_on();
    }

    void move(int bucket, int to)
    {
        const std::string job = cluster_.start_move(bucket, to);
        ASSERT_TRUE(cluster_.comes_true(
            kCatalog, fmt::format("SELECT bool_and(state = 'done') FROM keyshift.move WHERE job = {}", job), 120))
            << cluster_.daemon().output();
        transfers_go_on();
    }

    /// The server of that number is struck at that point; the command fails, and the same again finishes.
    void split_through_restart(int bucket, const std::string& point, int server)
    {
        const std::vector<std::string> command{"reshard", "split", "--bucket", std::to_string(bucket)};
        const std::string go = cluster_.directory().path() + "/" + point;
        const auto struck = cluster_.begin(command, point + "=wait:" + go);
        ASSERT_TRUE(struck->wait_for_output("failpoint " + point + " fired")) << struck->output();
        cluster_.server(server).stop("immediate");
        cluster_.server(server).start();
        cluster_.directory().write(point, "");
        EXPECT_GT(struck->wait(), 0) << struck->output();
        transfers_go_on();
        EXPECT_THAT(cluster_.must(command), testing::HasSubstr("write_block"));
        transfers_go_on();
    }

    /// All is on n1, and the topic has every turn of every user.
    void expect_right(const std::vector<int>& buckets)
    {
        bank_.pause();
        for (const int bucket : buckets) {
            EXPECT_EQ(judge_nodes(cluster_, bucket, 1), "") << bucket;
        }
        EXPECT_EQ(judge_rows(bank_, watch_), "");
        EXPECT_EQ(watch_.gap(), "");
    }

    FaultyCluster cluster_{kUsers};
    Bank bank_{cluster_, {1, 5, 9, 13}, kUsers, 16};
    TopicWatch watch_{cluster_};
};

TEST_F(SplitInStream, EachKeysEventsAreThereOnceAndInOrderAlsoWhenPartsMoveToAndFro)
{
    split(1);
    move(5, 2);
    split(5);
    move(13, 1);
    move(5, 1);
    split(1);
    expect_right({1, 5, 9, 13});
    EXPECT_EQ(watch_.repeats(), 0);
}

TEST_F(SplitInStream, IsReadByADaemonThatWasAwayAndByOneThatReadsItAgain)
{
    cluster_.kill_daemon();
    split(1);
    cluster_.start_daemon();
    move(5, 2);
    split(5);
    cluster_.kill_daemon();
    cluster_.start_daemon();
    move(13, 1);
    cluster_.kill_daemon();
    cluster_.start_daemon();
    move(5, 1);
    expect_right({1, 5, 13});
}

TEST_F(SplitInStream, IsFinishedByTheSameCommandAfterAServerWasStruck)
{
    split_through_restart(1, "split.twins.complete", 1);
    split_through_restart(5, "split.swap.before_commit", 1);
    split_through_restart(1, "split.owner.persisted", kCatalog);
    split_through_restart(2, "split.catalog.persisted", 2);
    move(13, 2);
    move(13, 1);
    expect_right({1, 2, 5, 6, 9, 13});
}

} // namespace
} // namespace keyshift::test
