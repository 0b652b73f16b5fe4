#include "core/bounded_queue.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace keyshift {
namespace {

TEST(BoundedQueue, TakesAnItemLargerThanTheLimitWhenEmpty) // INV-OPS-1
{
    BoundedQueue<int> queue(10);
    EXPECT_TRUE(queue.push(1, 1000, {}));
    EXPECT_EQ(queue.bytes(), 1000U);
    EXPECT_EQ(queue.pop({}), 1);
    EXPECT_EQ(queue.bytes(), 0U);
}

TEST(BoundedQueue, HoldsTheProducerUntilThereIsRoom)
{
    BoundedQueue<int> queue(10);
    ASSERT_TRUE(queue.push(1, 10, {}));
    std::atomic<bool> pushed = false;
    std::jthread producer([&] { pushed = queue.push(2, 1, {}); });
    EXPECT_EQ(queue.pop({}), 1);
    EXPECT_EQ(queue.pop({}), 2);
    producer.join();
    EXPECT_TRUE(pushed);
}

TEST(BoundedQueue, StopWakesABlockedProducerWhichKeepsItsItem)
{
    BoundedQueue<int> queue(1);
    ASSERT_TRUE(queue.push(1, 1, {}));
    std::stop_source stop;
    bool taken = true;
    {
        std::jthread producer([&] { taken = queue.push(2, 1, stop.get_token()); });
        stop.request_stop();
    }
    EXPECT_FALSE(taken);
    EXPECT_EQ(queue.try_pop(), 1);
    EXPECT_EQ(queue.try_pop(), std::nullopt);
}

TEST(BoundedQueue, AWaitForAnItemEnds)
{
    BoundedQueue<int> queue(10);
    EXPECT_EQ(queue.pop_for(std::chrono::milliseconds(1), {}), std::nullopt);
    EXPECT_TRUE(queue.push(1, 1, {}));
    EXPECT_EQ(queue.pop_for(std::chrono::milliseconds(1), {}), 1);
    EXPECT_FALSE(queue.closed());
    queue.close();
    EXPECT_EQ(queue.pop_for(std::chrono::hours(1), {}), std::nullopt) << "a closed queue is not waited for";
    EXPECT_TRUE(queue.closed());
}

TEST(BoundedQueue, StopWakesABlockedConsumer)
{
    BoundedQueue<int> queue(1);
    std::stop_source stop;
    std::optional<int> got = 1;
    {
        std::jthread consumer([&] { got = queue.pop(stop.get_token()); });
        stop.request_stop();
    }
    EXPECT_EQ(got, std::nullopt);
}

TEST(BoundedQueue, WhatWasQueuedBeforeCloseIsStillRead)
{
    BoundedQueue<int> queue(10);
    ASSERT_TRUE(queue.push(1, 1, {}));
    queue.close();
    EXPECT_FALSE(queue.push(2, 1, {}));
    EXPECT_EQ(queue.pop({}), 1);
    EXPECT_EQ(queue.pop({}), std::nullopt);
}

RC_GTEST_PROP(BoundedQueueProperty, KeepsOrderAndNeverExceedsItsLimitByMoreThanOneItem,
              (const std::vector<std::uint8_t>& weights))
{
    constexpr std::size_t kLimit = 300;
    BoundedQueue<std::size_t> queue(kLimit);
    std::jthread producer([&] {
        for (std::size_t at = 0; at < weights.size(); ++at) {
            queue.push(at, weights[at], {});
        }
        queue.close();
    });
    std::size_t expected = 0;
    while (const auto item = queue.pop({})) {
        RC_ASSERT(*item == expected++);
        RC_ASSERT(queue.bytes() <= kLimit);
    }
    RC_ASSERT(expected == weights.size());
}

} // namespace
} // namespace keyshift
