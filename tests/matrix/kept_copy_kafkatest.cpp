/// A bucket goes away and comes back to the copy that was kept current by the real stream, under transfers, whatever was struck
/// in between. INV-MOV-1, INV-MOV-2, INV-CDC-2.

#include "tests/matrix/verdict.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

constexpr int kUsers = 64;

class KeptCopyInStream : public testing::Test {
protected:
    void goes_back_after(const std::function<void()>& strike)
    {
        const std::string job = cluster_.start_move(1, 2);
        ASSERT_TRUE(settled(job)) << cluster_.daemon().output();
        wait_for_transfers();
        strike();
        wait_for_transfers();
        cluster_.must({"reshard", "rollback", job});
        const std::string back = cluster_.value(kCatalog, "SELECT max(id) FROM keyshift.job");
        ASSERT_TRUE(settled(back)) << cluster_.daemon().output();
        EXPECT_EQ(
            cluster_.value(kCatalog,
                           fmt::format("SELECT bool_and(adopts IS NOT NULL AND copy_snapshot IS NULL AND verified) "
                                       "FROM keyshift.move WHERE job = {}",
                                       back)),
            "t")
            << cluster_.daemon().output();
        wait_for_transfers();
    }

    bool settled(const std::string& job) const
    {
        return cluster_.comes_true(
            kCatalog, fmt::format("SELECT bool_and(state = 'settling') FROM keyshift.move WHERE job = {}", job));
    }

    void wait_for_transfers() const
    {
        const int then = bank_.transfers();
        for (int tries = 0; bank_.transfers() < then + 20 && tries < 3000; ++tries) {
            std::this_thread::sleep_for(10ms);
        }
        EXPECT_GE(bank_.transfers(), then + 20);
    }

    void restart(int node)
    {
        cluster_.server(node).stop("immediate");
        cluster_.server(node).start();
    }

    FaultyCluster cluster_{kUsers, TestServers().kafka(), "10min"};
    Bank bank_{cluster_, {1, 2}, kUsers};
    TopicWatch watch_{cluster_};
};

TEST_F(KeptCopyInStream, IsTheOwnerAgainWithEveryTransferAfterCrashesOfAll)
{
    const std::vector<std::function<void()>> strikes{
        [] {},
        [this] {
            cluster_.kill_daemon();
            cluster_.start_daemon();
        },
        [this] { restart(1); },
        [this] { restart(2); },
        [this] {
            cluster_.proxy(1).cut();
            wait_for_transfers();
            cluster_.proxy(1).mend();
        },
    };
    for (const auto& strike : strikes) {
        ASSERT_NO_FATAL_FAILURE(goes_back_after(strike));
    }
    cluster_.connect(kCatalog).query("UPDATE keyshift.move SET settle_until = now() WHERE state = 'settling'");
    ASSERT_TRUE(cluster_.comes_true(kCatalog, "SELECT bool_and(state = 'done') FROM keyshift.move", 120))
        << cluster_.daemon().output();
    bank_.pause();
    EXPECT_EQ(judge_nodes(cluster_, 1, 1), "");
    EXPECT_EQ(judge_nodes(cluster_, 2, 1), "");
    EXPECT_EQ(judge_rows(bank_, watch_), "");
}

} // namespace
} // namespace keyshift::test
