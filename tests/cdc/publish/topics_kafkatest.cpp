#include "cdc/publish/topics.hpp"

#include "cdc/publish/event_publisher.hpp"
#include "core/kafka/client.hpp"
#include "tests/support/test_servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::cdc {
namespace {

TEST(Topics, APartitionThatWasNotThereBeforeIsRefusedWithTheReason) // INV-CDC-2
{
    CdcOptions options;
    options.kafka = test::TestServers().kafka();
    const std::string name = test::unique_name("topics") + ".public.t";
    ASSERT_TRUE(kafka::Admin(options.kafka, "test").ensure_topic({name, 3, 1, {}}));
    const SizeLimits sizes(1'000'000);
    PartitionCounts counts;
    Topics topics(options, "test", sizes, counts, [] {});
    EXPECT_FALSE(topics.outgrown(name, 7).has_value()) << "not used yet";
    topics.ensure(name);
    EXPECT_FALSE(topics.outgrown(name, 2).has_value());
    const auto reason = topics.outgrown(name, 3);
    ASSERT_TRUE(reason.has_value());
    EXPECT_THAT(reason->what, testing::HasSubstr(name));
    EXPECT_THAT(reason->why, testing::HasSubstr("3 partitions"));
    EXPECT_EQ(counts.unsaved(), (PartitionCounts::Counts{{name, 3}})) << "to be remembered";
}

TEST(Topics, ACountThatIsAnotherThanItWasIsRefusedAtStart) // INV-CDC-2
{
    CdcOptions options;
    options.kafka = test::TestServers().kafka();
    const std::string name = test::unique_name("topics") + ".public.t";
    ASSERT_TRUE(kafka::Admin(options.kafka, "test").ensure_topic({name, 3, 1, {}}));
    const SizeLimits sizes(1'000'000);
    PartitionCounts counts;
    counts.load({{name, 2}});
    Topics topics(options, "test", sizes, counts, [] {});
    try {
        topics.ensure(name);
        FAIL() << "taken as it is";
    } catch (const FatalError& error) {
        EXPECT_THAT(error.parts().why, testing::HasSubstr("it had 2 partitions and has 3 now"));
        EXPECT_THAT(error.parts().next, testing::HasSubstr("keyshift cdc accept-partitions " + name));
    }
    counts.load({});
    EXPECT_NO_THROW(topics.ensure(name)) << "accepted meanwhile";
}

TEST(Topics, OneThatIsGoneIsMadeAgainWithAsManyPartitionsAsItHad)
{
    CdcOptions options;
    options.kafka = test::TestServers().kafka();
    options.partitions = 8;
    const std::string name = test::unique_name("topics") + ".public.t";
    const SizeLimits sizes(1'000'000);
    PartitionCounts counts;
    counts.load({{name, 2}});
    Topics topics(options, "test", sizes, counts, [] {});
    topics.ensure(name);
    EXPECT_EQ(kafka::Admin(options.kafka, "test").partitions(name), 2);
}

TEST(Topics, WhoeverWaitsForABrokerMayGiveUp)
{
    CdcOptions options;
    options.kafka["bootstrap.servers"] = "127.0.0.1:1"; // nobody answers there
    const SizeLimits sizes(1'000'000);
    PartitionCounts counts;
    struct Stopped {};
    Topics topics(options, "test", sizes, counts, [] { throw Stopped(); });
    EXPECT_THROW(topics.ensure("t"), Stopped);
    EXPECT_THROW(last_progress(options, "n1", [] { throw Stopped(); }), Stopped);
}

} // namespace
} // namespace keyshift::cdc
