#include "projections/shown_progress.hpp"

#include "core/backoff.hpp"
#include "tests/support/test_servers.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using projections::ShownProgress;

class ShownProgressTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        kafka::Admin admin(settings_, "test");
        admin.ensure_topic({topic_, 1, 1, {}});
        admin.ensure_topic({control_topic(prefix_), 1, 1, {}});
        for (const std::string& topic : {topic_, control_topic(prefix_)}) {
            wait_known(topic);
        }
    }

    /// The broker tells of a topic before it knows its partition.
    void wait_known(const std::string& topic) const
    {
        kafka::Consumer consumer(settings_, "test");
        for (int tries = 0;; ++tries) {
            try {
                consumer.watermarks(topic, 0);
                return;
            } catch (const TransientError&) {
                ASSERT_LT(tries, 1500) << topic;
                sleep_for(20ms, {});
            }
        }
    }

    void produce(const std::string& topic, const std::string& value)
    {
        kafka::Producer producer(settings_, "test", 1U << 20U, 0ms, [](const kafka::Delivery&) {});
        ASSERT_TRUE(producer.try_produce({topic, 0, std::nullopt, value, {}, 0}));
        ASSERT_TRUE(producer.flush(10s));
    }

    /// What it gives once it has asked for an offset, everything below `applied` being applied.
    std::map<std::string, Lsn> advance(ShownProgress& shown, std::int64_t applied)
    {
        std::map<std::string, Lsn> moved;
        bool asked = false;
        for (int tries = 0; tries < 1500 && !asked; ++tries) {
            moved = shown.advance([&](std::int32_t, std::int64_t until) {
                asked = true;
                return until <= applied;
            });
            sleep_for(20ms, {});
        }
        EXPECT_TRUE(asked);
        return moved;
    }

    std::int64_t control_end() const
    {
        return kafka::Consumer(settings_, "test").watermarks(control_topic(prefix_), 0).second;
    }

    TestServers servers_;
    kafka::Settings settings_ = servers_.kafka();
    std::string prefix_ = unique_name("shown");
    std::string topic_ = data_topic(prefix_, "public", "t");
};

/// INV-PRJ-2.
TEST_F(ShownProgressTest, ARecordCountsOnlyOnceAllThatItNamesIsApplied)
{
    ShownProgress shown(settings_, prefix_, control_end(), {"public.t", topic_, ""});
    produce(control_topic(prefix_), to_json(ControlRecord(ProgressRecord{"n1", 1, Lsn{100}, {{topic_, {{0, 5}}}}})));
    EXPECT_TRUE(advance(shown, 4).empty());
    const auto moved = advance(shown, 5);
    ASSERT_TRUE(moved.contains("n1"));
    EXPECT_EQ(moved.at("n1"), Lsn{100});
}

/// A stream that has begun anew names only what it wrote itself.
TEST_F(ShownProgressTest, WhatWasInTheTopicBeforeMustBeAppliedThoughNoRecordNamesIt)
{
    produce(topic_, "one");
    produce(topic_, "two");
    ShownProgress shown(settings_, prefix_, control_end(), {"public.t", topic_, ""});
    produce(control_topic(prefix_), to_json(ControlRecord(ProgressRecord{"n1", 1, Lsn{100}, {}})));
    EXPECT_TRUE(advance(shown, 1).empty());
    EXPECT_EQ(advance(shown, 2).size(), 1U);
}

/// Progress of before it began does not count; a truncation does, and ends what is shown.
TEST_F(ShownProgressTest, ATruncationOfItsTableIsFoundFromTheOffsetOnAndNothingBehindItIsShown)
{
    const auto tell = [&](const ControlRecord& record) {
        produce(control_topic(prefix_), to_json(record));
    };
    const SourcePosition position{Epoch{1}, Lsn{99}, 0};
    tell(ProgressRecord{"n1", 1, Lsn{90}, {}});
    tell(TruncateRecord{"n1", "public.other", BucketId{0}, position});
    ShownProgress shown(settings_, prefix_, 0, {"public.t", topic_, ""});
    tell(ProgressRecord{"n1", 1, Lsn{98}, {}});
    EXPECT_EQ(advance(shown, 0).at("n1"), Lsn{98});
    EXPECT_FALSE(shown.loss());
    EXPECT_EQ(shown.next_offset(), 3);
    tell(TruncateRecord{"n1", "public.t", BucketId{0}, position});
    tell(ProgressRecord{"n1", 1, Lsn{100}, {}});
    for (int tries = 0; tries < 1500 && !shown.loss(); ++tries) {
        EXPECT_TRUE(shown.advance([](std::int32_t, std::int64_t) { return true; }).empty());
        sleep_for(20ms, {});
    }
    ASSERT_TRUE(shown.loss());
    EXPECT_EQ(std::get<TruncateRecord>(*shown.loss()).node, "n1");
    EXPECT_EQ(shown.next_offset(), 3);
    ShownProgress later(settings_, prefix_, shown.next_offset(), {"public.t", topic_, ""});
    for (int tries = 0; tries < 1500 && !later.loss(); ++tries) {
        EXPECT_TRUE(later.advance([](std::int32_t, std::int64_t) { return true; }).empty());
        sleep_for(20ms, {});
    }
    EXPECT_TRUE(later.loss());
}

/// What a node lost, and its positions with it.
TEST_F(ShownProgressTest, AGapOfANodeThatHasTheTableEndsWhatIsShown)
{
    const auto tell = [&](const ControlRecord& record) {
        produce(control_topic(prefix_), to_json(record));
    };
    tell(GapRecord{"n2", 2, Lsn{90}, Lsn{95}});
    tell(GapRecord{"n1", 2, Lsn{90}, Lsn{95}});
    ShownProgress elsewhere(settings_, prefix_, 0, {"public.t", topic_, "n3"});
    ShownProgress shown(settings_, prefix_, 0, {"public.t", topic_, "n1"});
    ShownProgress everywhere(settings_, prefix_, 0, {"public.t", topic_, ""});
    tell(ProgressRecord{"n1", 2, Lsn{98}, {}});
    EXPECT_EQ(advance(elsewhere, 0).at("n1"), Lsn{98});
    EXPECT_FALSE(elsewhere.loss());
    for (ShownProgress* one : {&shown, &everywhere}) {
        for (int tries = 0; tries < 1500 && !one->loss(); ++tries) {
            EXPECT_TRUE(one->advance([](std::int32_t, std::int64_t) { return true; }).empty());
            sleep_for(20ms, {});
        }
        ASSERT_TRUE(one->loss());
    }
    EXPECT_EQ(std::get<GapRecord>(*shown.loss()).node, "n1");
    EXPECT_EQ(std::get<GapRecord>(*everywhere.loss()).node, "n2");
}

} // namespace
} // namespace keyshift::test
