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

    TestServers servers_;
    kafka::Settings settings_ = servers_.kafka();
    std::string prefix_ = unique_name("shown");
    std::string topic_ = data_topic(prefix_, "public", "t");
};

/// INV-PRJ-2.
TEST_F(ShownProgressTest, ARecordCountsOnlyOnceAllThatItNamesIsApplied)
{
    ShownProgress shown(settings_, prefix_, topic_);
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
    ShownProgress shown(settings_, prefix_, topic_);
    produce(control_topic(prefix_), to_json(ControlRecord(ProgressRecord{"n1", 1, Lsn{100}, {}})));
    EXPECT_TRUE(advance(shown, 1).empty());
    EXPECT_EQ(advance(shown, 2).size(), 1U);
}

} // namespace
} // namespace keyshift::test
