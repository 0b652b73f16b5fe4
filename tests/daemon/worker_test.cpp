#include "daemon/worker.hpp"

#include "core/backoff.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace keyshift::daemon {
namespace {

using namespace std::chrono_literals;

/// Gives the worker's thread time, as long as it takes.
template <typename Condition>
void wait_for(Condition condition)
{
    while (!condition()) {
        sleep_for(1ms, {});
    }
}

TEST(Worker, ATransientErrorIsTriedAgainByItself)
{
    std::atomic<int> runs = 0;
    const Worker worker("w", [&](std::stop_token stop) {
        if (++runs < 3) {
            throw TransientError({"reading", "away", "wait"});
        }
        sleep_for(1h, stop);
    });
    wait_for([&] { return runs == 3; });
    EXPECT_EQ(worker.status().state, "running");
}

TEST(Worker, AFatalErrorLeavesItStoppedAndShownUntilItIsToldToRetry)
{
    std::atomic<int> runs = 0;
    Worker worker("w", [&](std::stop_token stop) {
        if (++runs == 1) {
            throw FatalError({"the slot", "is lost", "take a snapshot"});
        }
        sleep_for(1h, stop);
    });
    wait_for([&] { return worker.status().state == "stopped"; });
    EXPECT_EQ(worker.status().error->why, "is lost");
    EXPECT_EQ(runs, 1);
    worker.retry_now();
    wait_for([&] { return runs == 2; });
    wait_for([&] { return worker.status().state == "running"; });
}

TEST(Worker, AFaultOfTheProgramStopsOnlyThisWorker)
{
    const Worker worker("w", [](std::stop_token) { throw std::logic_error("oops"); });
    wait_for([&] { return worker.status().state == "stopped"; });
    EXPECT_NE(worker.status().error->why.find("oops"), std::string::npos);
}

TEST(Worker, StoppingEndsThePauseAfterAFatalError)
{
    const auto begin = std::chrono::steady_clock::now();
    {
        const Worker worker("w", [](std::stop_token) { throw FatalError({"a", "b", "c"}); });
        wait_for([&] { return worker.status().state == "stopped"; });
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 50s);
}

} // namespace
} // namespace keyshift::daemon
