#include "core/backoff.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace keyshift {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, EndsAtOnceWhenStopped)
{
    std::stop_source stop;
    bool finished_waiting = true;
    {
        std::jthread waiter([&] { finished_waiting = Backoff(24h, 24h).wait(stop.get_token()); });
        stop.request_stop();
    }
    EXPECT_FALSE(finished_waiting);
    EXPECT_FALSE(sleep_for(24h, stop.get_token()));
}

TEST(Backoff, WaitsThroughWhenNobodyStopsIt)
{
    Backoff backoff(1ms, 4ms);
    const auto begin = std::chrono::steady_clock::now();
    for (int tries = 0; tries < 4; ++tries) {
        EXPECT_TRUE(backoff.wait({}));
    }
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 1ms + 2ms + 4ms + 4ms);
    backoff.reset();
    EXPECT_TRUE(backoff.wait({}));
}

} // namespace
} // namespace keyshift
