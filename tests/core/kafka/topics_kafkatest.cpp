#include "core/kafka/client.hpp"

#include "tests/support/test_servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace keyshift::kafka {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class TopicsTest : public testing::Test {
protected:
    void write(const std::string& topic, int count)
    {
        Producer producer(settings_, "test", 1 << 20, 0ms,
                          [](const Delivery& delivery) { EXPECT_FALSE(delivery.error.has_value()); });
        for (int value = 0; value < count; ++value) {
            ASSERT_TRUE(producer.try_produce({topic, 0, "k", std::to_string(value), {}, 0}));
        }
        ASSERT_TRUE(producer.flush(30s));
    }

    Settings settings_ = test::TestServers().kafka();
    Admin admin_{settings_, "test"};
    std::string topic_ = test::unique_name("core");
};

TEST_F(TopicsTest, AreCreatedOnceAndLeftAsTheyAre)
{
    EXPECT_EQ(admin_.partitions(topic_), 0);
    EXPECT_TRUE(admin_.ensure_topic({topic_, 3, 1, {{"cleanup.policy", "delete"}, {"retention.ms", "123456"}}}));
    EXPECT_FALSE(admin_.ensure_topic({topic_, 8, 1, {{"cleanup.policy", "compact"}}}));
    EXPECT_EQ(admin_.partitions(topic_), 3);
    EXPECT_EQ(admin_.topic_config(topic_, "cleanup.policy"), "delete");
    EXPECT_EQ(admin_.topic_config(topic_, "retention.ms"), "123456");
    EXPECT_NO_THROW(admin_.ping(10s));
}

TEST_F(TopicsTest, OnesThatTheBrokerRefusesAreAFatalErrorThatNamesThem)
{
    for (const TopicSettings& refused : {TopicSettings{topic_, 1, 9, {}}, TopicSettings{"no/slash", 1, 1, {}},
                                         TopicSettings{topic_, 1, 1, {{"cleanup.policy", "sometimes"}}}}) {
        try {
            admin_.ensure_topic(refused);
            ADD_FAILURE() << "created " << refused.name;
        } catch (const FatalError& error) {
            EXPECT_THAT(error.parts().what, HasSubstr(refused.name));
            EXPECT_FALSE(error.parts().next.empty());
        }
    }
}

TEST_F(TopicsTest, AreReadFromTheGivenOffset)
{
    ASSERT_TRUE(admin_.ensure_topic({topic_, 1, 1, {}}));
    write(topic_, 10);
    Consumer consumer(settings_, "test");
    EXPECT_EQ(consumer.watermarks(topic_, 0), (std::pair<std::int64_t, std::int64_t>(0, 10)));
    EXPECT_EQ(consumer.partitions(topic_), 1);
    const std::array from{TopicPartition{topic_, 0, 7}};
    consumer.assign(from);
    std::vector<std::string> values;
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (values.size() < 3 && std::chrono::steady_clock::now() < give_up) {
        for (const Message& message : consumer.poll(2, 1s)) {
            values.push_back(message.value.value());
        }
    }
    EXPECT_THAT(values, testing::ElementsAre("7", "8", "9"));
    EXPECT_TRUE(consumer.poll(10, 0ms).empty());
}

TEST_F(TopicsTest, AnOffsetThatIsNotKeptIsAFatalErrorAndNeverSkipped)
{
    ASSERT_TRUE(admin_.ensure_topic({topic_, 1, 1, {}}));
    write(topic_, 3);
    Consumer consumer(settings_, "test");
    const std::array from{TopicPartition{topic_, 0, 1000}};
    consumer.assign(from);
    try {
        const auto give_up = std::chrono::steady_clock::now() + 30s;
        while (std::chrono::steady_clock::now() < give_up) {
            EXPECT_TRUE(consumer.poll(10, 100ms).empty());
        }
        FAIL() << "silence";
    } catch (const FatalError& error) {
        EXPECT_THAT(error.what(), HasSubstr(topic_));
    }
}

TEST_F(TopicsTest, AMissingOneIsToldToTheReader)
{
    Consumer consumer(settings_, "test");
    EXPECT_EQ(consumer.partitions(topic_), 0);
    const std::array from{TopicPartition{topic_, 0, 0}};
    consumer.assign(from);
    try {
        const auto give_up = std::chrono::steady_clock::now() + 60s;
        while (std::chrono::steady_clock::now() < give_up) {
            consumer.poll(10, 100ms);
        }
        FAIL() << "silence";
    } catch (const TransientError& error) {
        EXPECT_THAT(error.what(), HasSubstr(topic_));
    }
    EXPECT_EQ(admin_.partitions(topic_), 0) << "asking creates no topic";
}

} // namespace
} // namespace keyshift::kafka
