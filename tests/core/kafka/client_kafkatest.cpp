#include "core/kafka/client.hpp"

#include "tests/support/process.hpp"
#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>

namespace keyshift::kafka {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ClientTest : public testing::Test {
protected:
    std::string make_topic(int partitions)
    {
        const std::string name = test::unique_name("core") + ".public.t";
        EXPECT_TRUE(Admin(settings_, "test").ensure_topic({name, partitions, 1, {{"cleanup.policy", "delete"}}}));
        return name;
    }

    Settings settings_ = test::TestServers().kafka();
    std::map<std::uint64_t, Delivery> delivered_;
    Producer::OnDelivery note_ = [this](const Delivery& delivery) {
        delivered_[delivery.token] = delivery;
    };
};

TEST_F(ClientTest, WhatIsProducedIsReadBackWithHeadersAndTombstones)
{
    const std::string topic = make_topic(1);
    Producer producer(settings_, "test", 1 << 20, 0ms, note_);
    const std::array headers{Header{"keyshift.origin", "n1/17"}, Header{"keyshift.position", "1/2/3"}};
    ASSERT_TRUE(producer.try_produce({topic, {}, "key", "value", headers, 1}));
    ASSERT_TRUE(producer.try_produce({topic, {}, "key", std::nullopt, {}, 2}));
    ASSERT_TRUE(producer.try_produce({topic, {}, std::nullopt, std::string_view("\0\xff", 2), {}, 3}));
    ASSERT_TRUE(producer.flush(30s));
    for (std::uint64_t token = 1; token <= 3; ++token) {
        ASSERT_FALSE(delivered_.at(token).error.has_value());
        EXPECT_EQ(delivered_.at(token).topic, topic);
        EXPECT_EQ(delivered_.at(token).partition, 0);
        EXPECT_EQ(delivered_.at(token).offset, static_cast<std::int64_t>(token) - 1);
    }
    EXPECT_EQ(producer.queued_records(), 0U);
    const std::vector<Message> messages = test::read_topic(settings_, topic, 3);
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(messages[0].key, "key");
    EXPECT_EQ(messages[0].value, "value");
    EXPECT_EQ(messages[0].header("keyshift.origin"), "n1/17");
    EXPECT_EQ(messages[0].header("keyshift.position"), "1/2/3");
    EXPECT_EQ(messages[0].header("keyshift.absent"), std::nullopt);
    EXPECT_GT(messages[0].timestamp_ms, 0);
    EXPECT_EQ(messages[1].value, std::nullopt) << "a tombstone";
    EXPECT_EQ(messages[2].key, std::nullopt);
    EXPECT_EQ(messages[2].value, std::string("\0\xff", 2));
}

TEST_F(ClientTest, KeysGoToThePartitionThatTheJavaClientChooses)
{
    const std::string topic = make_topic(4);
    Producer producer(settings_, "test", 1 << 20, 5ms, note_);
    for (std::uint64_t key = 0; key < 200; ++key) {
        ASSERT_TRUE(producer.try_produce({topic, {}, fmt::format("{{\"user_id\":{}}}", key), "v", {}, key}));
    }
    ASSERT_TRUE(producer.flush(30s));
    for (std::uint64_t key = 0; key < 200; ++key) {
        EXPECT_EQ(delivered_.at(key).partition, murmur2_partition(fmt::format("{{\"user_id\":{}}}", key), 4)) << key;
    }
}

TEST_F(ClientTest, AFullQueueSaysSoAndTakesMoreAfterDeliveries) // INV-OPS-1
{
    const std::string topic = make_topic(1);
    Producer producer(settings_, "test", 64 * 1024, 0ms, note_);
    const std::string value(10'000, 'x');
    std::uint64_t taken = 0;
    bool was_full = false;
    while (taken < 100) {
        const std::array headers{Header{"keyshift.origin", "n1/17"}};
        if (producer.try_produce({topic, {}, "key", value, headers, taken})) {
            ++taken;
        } else {
            was_full = true;
            EXPECT_LE(producer.queued_records(), 8U);
            producer.poll(100ms);
        }
    }
    ASSERT_TRUE(producer.flush(30s));
    EXPECT_TRUE(was_full);
    EXPECT_EQ(delivered_.size(), 100U);
    EXPECT_EQ(delivered_.at(99).offset, 99) << "in order, nothing lost";
}

TEST_F(ClientTest, ARecordThatIsTooLargeIsAFatalErrorThatNamesTheTopic)
{
    const std::string topic = make_topic(1);
    Producer producer(settings_, "test", 16 << 20, 0ms, note_);
    const std::array headers{Header{"keyshift.origin", "n1/17"}};
    const std::string huge(3'000'000, 'x');
    try {
        producer.try_produce({topic, {}, "key", huge, headers, 1});
        FAIL() << "accepted";
    } catch (const FatalError& error) {
        EXPECT_THAT(error.parts().what, HasSubstr(topic));
        EXPECT_THAT(error.parts().next, HasSubstr("message.max.bytes"));
    }
    ASSERT_TRUE(producer.try_produce({topic, {}, "key", "small", headers, 2}));
    EXPECT_TRUE(producer.flush(30s));
}

TEST_F(ClientTest, ABadSettingIsNamedAndItsValueIsNot)
{
    const std::pair<const char*, const char*> bad[] = {{"bootstrap.server", "x"},
                                                       {"linger.ms", "often"},
                                                       {"security.protocol", "hunter2"},
                                                       {"enable.idempotense", "true"}};
    for (const auto& [key, value] : bad) {
        Settings settings = settings_;
        settings[key] = value;
        try {
            check(settings);
            ADD_FAILURE() << "accepted: " << key;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::configuration);
            EXPECT_THAT(error.what(), HasSubstr(key));
            EXPECT_FALSE(error.parts().next.empty());
        }
    }
    EXPECT_NO_THROW(check(settings_));
    EXPECT_THROW(check({}), Error);
}

TEST_F(ClientTest, TheUsersSettingsCannotWeakenDelivery) // INV-CDC-2
{
    const std::string topic = make_topic(4);
    Settings settings = settings_;
    settings["enable.idempotence"] = "false";
    settings["acks"] = "0";
    settings["partitioner"] = "consistent";
    settings["message.timeout.ms"] = "1";
    Producer producer(settings, "test", 1 << 20, 0ms, note_);
    ASSERT_TRUE(producer.try_produce({topic, {}, "{\"user_id\":1}", "v", {}, 1}));
    ASSERT_TRUE(producer.flush(30s));
    ASSERT_FALSE(delivered_.at(1).error.has_value());
    EXPECT_EQ(delivered_.at(1).offset, 0) << "acks=0 would not know the offset";
    EXPECT_EQ(delivered_.at(1).partition, murmur2_partition("{\"user_id\":1}", 4));
}

TEST_F(ClientTest, RecordsWaitForABrokerThatIsAway)
{
    Settings away{{"bootstrap.servers", fmt::format("127.0.0.1:{}", test::free_port())}};
    Producer producer(away, "test", 1 << 20, 0ms, note_);
    ASSERT_TRUE(producer.try_produce({"t", {}, "key", "v", {}, 1}));
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (producer.broker_error().empty() && std::chrono::steady_clock::now() < give_up) {
        producer.poll(50ms);
    }
    EXPECT_FALSE(producer.broker_error().empty());
    EXPECT_TRUE(delivered_.empty());
    EXPECT_EQ(producer.queued_records(), 1U);
    EXPECT_EQ(producer.fatal().has_value(), false);
    try {
        Admin(away, "test").ping(500ms);
        FAIL() << "answered";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::unreachable);
        EXPECT_THAT(error.parts().next, HasSubstr("bootstrap.servers"));
    }
}

} // namespace
} // namespace keyshift::kafka
