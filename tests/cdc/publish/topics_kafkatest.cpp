#include "cdc/publish/topics.hpp"

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
    Topics topics(options, "test", sizes, [] {});
    EXPECT_FALSE(topics.outgrown(name, 7).has_value()) << "not used yet";
    topics.ensure(name, 8);
    EXPECT_FALSE(topics.outgrown(name, 2).has_value());
    const auto reason = topics.outgrown(name, 3);
    ASSERT_TRUE(reason.has_value());
    EXPECT_THAT(reason->what, testing::HasSubstr(name));
    EXPECT_THAT(reason->why, testing::HasSubstr("3 partitions"));
}

} // namespace
} // namespace keyshift::cdc
