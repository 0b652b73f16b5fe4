#include "cdc/source/spilling_queue.hpp"

#include "core/error.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace keyshift::test {
namespace {

using cdc::SpillingQueue;
using namespace std::chrono_literals;

std::string record(int number)
{
    return std::to_string(number) + std::string(100, 'x');
}

TEST(SpillingQueue, KeepsOrderAcrossMemoryAndFile)
{
    SpillingQueue queue(1'000, "/tmp");
    for (int i = 0; i < 500; ++i) {
        queue.append(record(i));
    }
    queue.publish();
    EXPECT_LE(queue.memory_bytes(), 1'000U);
    EXPECT_GT(queue.spilled_bytes(), 40'000U);
    for (int i = 0; i < 500; ++i) {
        ASSERT_EQ(queue.pop(0ms, {}), record(i));
    }
    EXPECT_EQ(queue.spilled_bytes(), 0U);
    EXPECT_FALSE(queue.pop(0ms, {}));
}

TEST(SpillingQueue, GoesBackToMemoryOnceTheFileIsRead)
{
    SpillingQueue queue(300, "/tmp");
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 10; ++i) {
            queue.append(record(i));
        }
        queue.publish();
        for (int i = 0; i < 10; ++i) {
            ASSERT_EQ(queue.pop(0ms, {}), record(i));
        }
        EXPECT_EQ(queue.memory_bytes(), 0U);
        EXPECT_EQ(queue.spilled_bytes(), 0U);
    }
}

TEST(SpillingQueue, ShowsNothingBeforeItIsPublishedAndTakesBackTheRest)
{
    for (const std::size_t limit : {50U, 250U, 100'000U}) {
        SpillingQueue queue(limit, "/tmp");
        queue.append(record(1));
        queue.append(record(2));
        EXPECT_FALSE(queue.pop(0ms, {}));
        queue.publish();
        for (int i = 100; i < 110; ++i) {
            queue.append(record(i));
        }
        EXPECT_EQ(queue.pop(0ms, {}), record(1));
        queue.discard();
        queue.append(record(3));
        queue.publish();
        EXPECT_EQ(queue.pop(0ms, {}), record(2)) << limit;
        EXPECT_EQ(queue.pop(0ms, {}), record(3)) << limit;
        EXPECT_FALSE(queue.pop(0ms, {}));
    }
}

TEST(SpillingQueue, TakesOneRecordLargerThanItsMemory)
{
    SpillingQueue queue(10, "/tmp");
    queue.append(record(1));
    queue.append(record(2));
    queue.publish();
    EXPECT_EQ(queue.pop(0ms, {}), record(1));
    EXPECT_EQ(queue.pop(0ms, {}), record(2));
}

TEST(SpillingQueue, ReaderAndWriterMeetInOrder)
{
    SpillingQueue queue(2'000, "/tmp");
    std::jthread writer([&] {
        for (int i = 0; i < 20'000; ++i) {
            queue.append(record(i));
            queue.publish();
        }
        queue.close();
    });
    int next = 0;
    while (const auto got = queue.pop(10s, {})) {
        ASSERT_EQ(*got, record(next++));
    }
    EXPECT_EQ(next, 20'000);
    EXPECT_TRUE(queue.closed());
}

TEST(SpillingQueue, SaysWhereItCannotSpill)
{
    SpillingQueue queue(10, "/nowhere");
    queue.append(record(1));
    EXPECT_THROW(queue.append(record(2)), TransientError);
}

} // namespace
} // namespace keyshift::test
