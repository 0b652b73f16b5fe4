#include "cdc/publish/record_ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace keyshift::cdc {
namespace {

constexpr std::size_t kRing = 64 * 1024;
const std::string kTopic = "app.public.t";

/// A record whose every part follows from its number.
struct Numbered {
    Numbered(std::uint64_t number, std::size_t bytes)
        : key("key " + std::to_string(number)), value(bytes, static_cast<char>('a' + number % 26)),
          position(std::to_string(number) + "/header"), headers{kafka::Header{"position", position}, {"empty", ""}}
    {
        record.topic = kTopic;
        record.partition = number % 3 == 0 ? std::nullopt : std::optional(static_cast<std::int32_t>(number % 5));
        record.key = number % 7 == 0 ? std::nullopt : std::optional<std::string_view>(key);
        record.value = number % 11 == 0 ? std::nullopt : std::optional<std::string_view>(value);
        record.headers = headers;
        record.token = number;
    }
    void expect(const kafka::Record& taken) const
    {
        ASSERT_EQ(taken.token, record.token);
        EXPECT_EQ(taken.topic, record.topic);
        EXPECT_EQ(taken.partition, record.partition);
        EXPECT_EQ(taken.key, record.key);
        EXPECT_TRUE(taken.value == record.value) << "number " << record.token;
        ASSERT_EQ(taken.headers.size(), headers.size());
        for (std::size_t at = 0; at < headers.size(); ++at) {
            EXPECT_EQ(taken.headers[at].name, headers[at].name);
            EXPECT_EQ(taken.headers[at].value, headers[at].value);
        }
    }

    std::string key;
    std::string value;
    std::string position;
    std::array<kafka::Header, 2> headers;
    kafka::Record record;
};

/// Some small, some that do not fit beside others, some with a block of their own.
std::size_t size_of(std::uint64_t number)
{
    constexpr std::array<std::size_t, 8> kSizes{0, 1, 15, 700, 4'000, 15'000, 16'385, 200'000};
    return kSizes.at(number * 2'654'435'761U % kSizes.size());
}

TEST(RecordRing, RecordsComeOutAsTheyWentInAllTheWayRoundTheRing)
{
    RecordRing ring(kRing);
    std::mt19937 random(7);
    std::uint64_t pushed = 0;
    std::uint64_t taken = 0;
    while (taken < 5'000) {
        if (random() % 2 == 0 && pushed < 5'000) {
            pushed += ring.push(Numbered(pushed, size_of(pushed)).record) ? 1 : 0;
        } else if (const kafka::Record* record = ring.front()) {
            EXPECT_EQ(ring.front(), record) << "it stays the first until it is popped";
            Numbered(taken, size_of(taken)).expect(*record);
            ring.pop();
            ++taken;
        }
    }
    EXPECT_EQ(ring.front(), nullptr);
    EXPECT_TRUE(ring.empty());
}

TEST(RecordRing, AFullRingTakesNothingUntilSomethingIsTaken)
{
    RecordRing ring(kRing);
    std::uint64_t pushed = 0;
    while (ring.push(Numbered(pushed + 1, 1'000).record)) {
        ++pushed;
        ASSERT_LE(pushed * 1'000, kRing) << "the bound holds";
    }
    EXPECT_GT(pushed * 1'200, kRing / 2);
    EXPECT_TRUE(ring.half_full());
    EXPECT_FALSE(ring.push(Numbered(pushed + 1, 1'000).record));
    ASSERT_NE(ring.front(), nullptr);
    ring.pop();
    EXPECT_TRUE(ring.push(Numbered(pushed + 1, 1'000).record));
    for (std::uint64_t number = 2; number <= pushed + 1; ++number) {
        ASSERT_NE(ring.front(), nullptr);
        Numbered(number, 1'000).expect(*ring.front());
        ring.pop();
    }
    EXPECT_TRUE(ring.empty());
}

TEST(RecordRing, ARecordLargerThanTheRingGoesThroughOneAtATime)
{
    RecordRing ring(kRing);
    ASSERT_TRUE(ring.push(Numbered(1, 100).record));
    ASSERT_TRUE(ring.push(Numbered(2, 10 * kRing).record));
    EXPECT_FALSE(ring.push(Numbered(3, 10 * kRing).record)) << "one is under way";
    ASSERT_TRUE(ring.push(Numbered(4, 100).record)) << "small ones still go";
    for (const std::uint64_t number : {1U, 2U}) {
        Numbered(number, number == 1 ? 100 : 10 * kRing).expect(*ring.front());
        ring.pop();
    }
    EXPECT_TRUE(ring.push(Numbered(5, 10 * kRing).record));
    Numbered(4, 100).expect(*ring.front());
    ring.pop();
    Numbered(5, 10 * kRing).expect(*ring.front());
    // Left in the ring: its block goes with it.
}

TEST(RecordRing, OneThreadPushesWhileAnotherTakes)
{
    constexpr std::uint64_t kRecords = 20'000;
    RecordRing ring(kRing);
    std::jthread pusher([&ring] {
        for (std::uint64_t number = 0; number < kRecords; ++number) {
            const Numbered numbered(number, size_of(number) / 20);
            while (!ring.push(numbered.record)) {
                std::this_thread::yield();
            }
        }
    });
    for (std::uint64_t number = 0; number < kRecords; ++number) {
        const kafka::Record* record = ring.front();
        while (record == nullptr) {
            std::this_thread::yield();
            record = ring.front();
        }
        Numbered(number, size_of(number) / 20).expect(*record);
        ring.pop();
    }
    EXPECT_TRUE(ring.empty());
}

} // namespace
} // namespace keyshift::cdc
