// Records that are too large for their topic, at a real broker.
#include "core/json.hpp"
#include "core/kafka/client.hpp"
#include "metrics/families.hpp"
#include "tests/cdc/publish/changes.hpp"
#include "tests/support/kafka_tool.hpp"
#include "tests/support/private_kafka.hpp"
#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>

namespace keyshift::cdc {
namespace {

using namespace std::chrono_literals;
using test::context;
using test::insert;
using test::kNull;
using test::text;
using testing::AllOf;
using testing::HasSubstr;

class DeadLettersTest : public testing::Test {
protected:
    DeadLettersTest()
    {
        options_.topic_prefix = test::unique_name("letters");
        options_.partitions = 1;
        options_.kafka = settings_;
        topic_ = options_.topic_prefix + ".public.t";
        table_.capture.on_error = OnError::dead_letter;
    }
    std::unique_ptr<EventPublisher> publisher()
    {
        auto made = std::make_unique<EventPublisher>(options_, "n1", "shop", 7, series_, sizes_, counts_, [] {});
        made->take_over();
        return made;
    }
    void make_topic(const std::string& limit)
    {
        ASSERT_TRUE(kafka::Admin(settings_, "test").ensure_topic({topic_, 1, 1, {{"max.message.bytes", limit}}}));
    }
    std::vector<kafka::Message> letters(std::size_t expected) const
    {
        return test::read_topic(settings_, dead_letter_topic(options_.topic_prefix), expected);
    }
    /// Does not compress.
    std::string noise(std::size_t bytes)
    {
        std::string text;
        for (std::size_t at = 0; at < bytes; ++at) {
            text += static_cast<char>('0' + random_() % 64);
        }
        return text;
    }
    /// What a stream does: on a dead producer a new one, from the last commit on. False: it never comes to an end.
    bool publish_all(const std::vector<Tuple>& rows)
    {
        constexpr int kMostProducers = 20;
        for (; producers_ < kMostProducers; ++producers_) {
            const auto publisher = this->publisher();
            try {
                std::uint64_t seq = 0;
                for (const Tuple& row : rows) {
                    publisher->publish(context(200, seq++), table_, insert(row));
                }
                publisher->commit(Lsn{200}, Lsn{210});
                while (!publisher->wait_acknowledged(Lsn{210}, 100ms)) {
                    publisher->check();
                }
                return true;
            } catch (const TransientError&) {
                continue;
            }
        }
        return false;
    }

    kafka::Settings settings_ = test::TestServers().kafka();
    CdcOptions options_;
    std::string topic_;
    SizeLimits sizes_{1'000'000};
    PartitionCounts counts_;
    metrics::Metrics metrics_;
    metrics::CdcMetrics series_{metrics_.registry(), "n1"};
    TableSchema table_ = test::small_table();
    std::mt19937 random_{7};
    int producers_ = 1;
};

TEST_F(DeadLettersTest, AnEventThatIsTooLargeGoesThereWithEverythingButItsValues)
{
    make_topic("3000");
    table_.capture.mask["n"] = "***";
    const auto publisher = this->publisher();
    const std::string large(5000, 'x');
    publisher->publish(context(200, 0), table_, insert({text("1"), text("before"), kNull}));
    publisher->publish(context(200, 1), table_,
                       test::update(std::nullopt, false, {text("1"), text(large), text("hidden")}));
    publisher->publish(context(200, 2), table_, test::update(std::nullopt, false, {text("1"), text("after"), kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    const auto events = test::read_topic(settings_, topic_, 2);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_THAT(events[0].value.value(), HasSubstr("before"));
    EXPECT_THAT(events[1].value.value(), HasSubstr("after")) << "the key's order is kept";
    const auto letters = this->letters(1);
    ASSERT_EQ(letters.size(), 1U);
    EXPECT_EQ(letters[0].key, R"({"id":1})");
    EXPECT_EQ(letters[0].header(kHeaderPosition), "3/200/1");
    EXPECT_EQ(letters[0].header(kHeaderOrigin), "n1/17");
    EXPECT_EQ(letters[0].header("__debezium.context.connectorName"), "postgresql");
    const auto letter = nlohmann::ordered_json::parse(letters[0].value.value());
    EXPECT_GT(letter.at("size"), 5000);
    auto rest = letter;
    rest.erase("size");
    EXPECT_EQ(rest.dump(),
              fmt::format(
                  R"({{"reason":"too_large","node":"n1","table":"public.t","topic":"{}","op":"u","snapshot":"false",)"
                  R"("key":{{"id":1}},"key_bytes":8,"lsn":"0/BE","commit_lsn":"0/C8","xid":733,"ts_ms":1478267490123,)"
                  R"("limit":2488,"topic_limit":3000,"client_limit":1000000,"columns":[)"
                  R"({{"name":"id","before":null,"after":1}},{{"name":"v","before":null,"after":5000}},)"
                  R"({{"name":"n","before":null,"after":null}}]}})",
                  topic_));
    EXPECT_EQ(letters[0].value->find("hidden"), std::string::npos);
    EXPECT_EQ(publisher->dead_letters(), 1U);
    EXPECT_EQ(series_.dead_letters("public.t").value(), 1);
    EXPECT_EQ(series_.events("public.t", "u").value(), 1);
}

TEST_F(DeadLettersTest, TheSizeOfAByteaThatIsNeverWrittenIsThatOfTheRecordItWouldHaveBeen)
{
    table_ = test::small_table("f");
    table_.columns[1].type = test::type("bytea");
    TableSchema limited = table_;
    limited.root.name = "t";
    limited.capture.on_error = OnError::dead_letter;
    options_.tombstones = false;
    make_topic("3000");
    const std::string old_body = "\\x" + std::string(300'002, 'a');
    const std::string new_body = "\\x" + std::string(400'000, 'b');
    const Tuple before{text("1"), text(old_body), text("n")};
    const std::vector<Change> changes{insert({text("1"), text(old_body), kNull}),
                                      test::update(before, false, {text("1"), text(new_body), kNull}),
                                      test::update(before, false, {text("1"), test::kUnchanged, kNull}),
                                      test::update(before, false, {text("2"), test::kUnchanged, kNull}),
                                      test::update(before, false, {text("1"), text("\\x00"), kNull}),
                                      test::remove(before, false)};
    const auto publisher = this->publisher();
    std::uint64_t seq = 0;
    for (const Change& change : changes) {
        publisher->publish(context(200, ++seq), table_, change);
        publisher->publish(context(200, seq), limited, change);
    }
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    const auto written = test::read_topic(settings_, options_.topic_prefix + ".public.f", 7);
    const auto letters = this->letters(7);
    ASSERT_EQ(written.size(), 7U) << "a key change is two";
    ASSERT_EQ(letters.size(), 7U);
    for (std::size_t at = 0; at < letters.size(); ++at) {
        std::size_t bytes = written[at].key.value().size() + written[at].value.value().size();
        for (const auto& [name, value] : written[at].headers) {
            bytes += name.size() + value.size();
        }
        const auto letter = nlohmann::json::parse(letters[at].value.value());
        EXPECT_EQ(letter.at("size"), bytes) << at;
        EXPECT_EQ(letters[at].key, written[at].key);
        EXPECT_EQ(letter.at("op").get<std::string>(),
                  nlohmann::json::parse(written[at].value.value()).at("op").get<std::string>());
    }
}

TEST_F(DeadLettersTest, AKeyThatIsItselfTooLargeIsLeftOut)
{
    table_.columns[0].type = test::type("text");
    const auto publisher = this->publisher();
    const std::string large(1'500'000, 'k');
    publisher->publish(context(), table_, test::remove({text(large), kNull, kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    const auto letters = this->letters(2);
    ASSERT_EQ(letters.size(), 2U) << "the delete and its tombstone";
    for (const kafka::Message& message : letters) {
        const auto letter = nlohmann::json::parse(message.value.value());
        EXPECT_FALSE(message.key.has_value());
        EXPECT_TRUE(letter.at("key").is_null());
        EXPECT_EQ(letter.at("key_bytes"), 1'500'009);
        EXPECT_EQ(message.header(kHeaderPosition), "3/200/0");
    }
    EXPECT_EQ(nlohmann::json::parse(letters[0].value.value()).at("op"), "d");
    EXPECT_TRUE(nlohmann::json::parse(letters[1].value.value()).at("op").is_null());
}

TEST_F(DeadLettersTest, WithoutThatPolicyTheStreamStopsAndNamesPlaceSizeLimitsAndBothWaysOut)
{
    make_topic("3000");
    table_.capture.on_error = OnError::stop;
    const auto publisher = this->publisher();
    const std::string large(5000, 'x');
    try {
        publisher->publish(context(), table_, insert({text("471147"), text(large), kNull}));
        FAIL() << "accepted";
    } catch (const FatalError& error) {
        EXPECT_THAT(error.parts().what, AllOf(HasSubstr("public.t"), HasSubstr("LSN 0/BE"),
                                              HasSubstr("commit LSN 0/C8"), HasSubstr("node n1")));
        EXPECT_THAT(error.parts().why, AllOf(HasSubstr(topic_), HasSubstr("max.message.bytes of the topic is 3000"),
                                             HasSubstr("message.max.bytes in [kafka] is 1000000")));
        EXPECT_THAT(error.parts().next, AllOf(HasSubstr("kafka-configs"),
                                              HasSubstr("keyshift table capture public.t --on-error dead-letter"),
                                              HasSubstr("keyshift cdc recover n1")));
        EXPECT_EQ(std::string(error.what()).find("471147"), std::string::npos) << "no key is logged";
    }
    publisher->commit(Lsn{200}, Lsn{210});
    EXPECT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s)) << "the publisher itself is sound";
}

/// Beyond it a broker closes the connection without a word.
TEST_F(DeadLettersTest, WhatABrokerTakesInARequestIsALimitLikeTheOthers)
{
    const test::PrivateKafka broker({"socket.request.max.bytes=2000000"});
    settings_ = broker.settings();
    settings_["message.max.bytes"] = "10000000";
    options_.kafka = settings_;
    SizeLimits sizes{10'000'000};
    EventPublisher publisher(options_, "n1", "shop", 7, series_, sizes, counts_, [] {});
    publisher.take_over();
    std::vector<std::string> values;
    std::vector<std::string> ids;
    for (int id = 0; id < 30; ++id) {
        values.push_back(noise(id == 10 ? 3'000'000 : 400'000));
        ids.push_back(std::to_string(id));
    }
    for (std::size_t id = 0; id < values.size(); ++id) {
        publisher.publish(context(200, id), table_, insert({text(ids[id]), text(values[id]), kNull}));
    }
    publisher.commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher.wait_acknowledged(Lsn{210}, 60s)) << publisher.broker_error();
    EXPECT_EQ(test::read_topic(settings_, topic_, 29).size(), 29U);
    const auto letters = this->letters(1);
    ASSERT_EQ(letters.size(), 1U);
    EXPECT_EQ(nlohmann::json::parse(letters[0].value.value()).at("limit"), 2'000'000 - 4096);
    table_.capture.on_error = OnError::stop;
    try {
        publisher.publish(context(300, 0), table_, insert({text("10"), text(values[10]), kNull}));
        FAIL() << "accepted";
    } catch (const FatalError& error) {
        EXPECT_THAT(error.parts().why, HasSubstr("socket.request.max.bytes of the brokers is 2000000"));
        EXPECT_THAT(error.parts().next, AllOf(HasSubstr("socket.request.max.bytes=30"), HasSubstr("on every broker")));
    }
}

TEST_F(DeadLettersTest, WhereABrokerDoesNotTellOfThatLimitTheWaitingRecordIsNamed)
{
    const test::PrivateKafka broker({"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                                     "allow.everyone.if.no.acl.found=true"});
    for (const auto& [verb, operation] : {std::pair("allow", "All"), std::pair("deny", "DescribeConfigs")}) {
        test::kafka_tool(
            broker.settings(), "kafka.admin.AclCommand",
            {"--add", fmt::format("--{}-principal", verb), "User:ANONYMOUS", "--cluster", "--operation", operation});
    }
    options_.kafka = broker.settings();
    options_.kafka["message.max.bytes"] = "200000000";
    SizeLimits sizes{200'000'000};
    EventPublisher publisher(options_, "n1", "shop", 7, series_, sizes, counts_, [] {});
    publisher.take_over();
    const std::string large = noise(110'000'000);
    publisher.publish(context(), table_, insert({text("1"), text(large), kNull}));
    publisher.commit(Lsn{200}, Lsn{210});
    const auto told = [&] {
        return publisher.broker_error().find("bytes for topic " + topic_) != std::string::npos;
    };
    const auto end = std::chrono::steady_clock::now() + 120s;
    while (!told() && std::chrono::steady_clock::now() < end) {
        EXPECT_FALSE(publisher.wait_acknowledged(Lsn{210}, 100ms)) << "the broker takes it";
    }
    EXPECT_THAT(publisher.broker_error(), AllOf(HasSubstr("socket.request.max.bytes"), HasSubstr(topic_)));
}

TEST_F(DeadLettersTest, SmallRecordsOfATopicWithALowLimitAllArrive)
{
    make_topic("20000");
    std::vector<std::string> values;
    std::vector<Tuple> rows;
    for (int id = 0; id < 2000; ++id) {
        values.push_back(noise(500));
    }
    std::vector<std::string> ids;
    for (int id = 0; id < 2000; ++id) {
        ids.push_back(std::to_string(id));
    }
    for (std::size_t id = 0; id < values.size(); ++id) {
        rows.push_back({text(ids[id]), text(values[id]), kNull});
    }
    EXPECT_TRUE(publish_all(rows));
    EXPECT_GT(producers_, 1) << "a batch was refused, or this proves nothing";
    std::set<std::string> keys;
    for (const kafka::Message& message : test::read_topic(settings_, topic_, 2000)) {
        keys.insert(message.key.value());
    }
    EXPECT_EQ(keys.size(), 2000U);
    EXPECT_EQ(series_.dead_letters("public.t").value(), 0);
}

TEST_F(DeadLettersTest, ALimitThatIsLoweredMeanwhileEndsAtThePolicyAndNotInRetries)
{
    make_topic("900000");
    const std::string large = noise(100'000);
    {
        const auto publisher = this->publisher();
        publisher->publish(context(100, 0), table_, insert({text("1"), text(large), kNull}));
        publisher->commit(Lsn{100}, Lsn{110});
        ASSERT_TRUE(publisher->wait_acknowledged(Lsn{110}, 20s));
        test::alter_topic(settings_, topic_, "max.message.bytes", "50000");
        publisher->publish(context(200, 0), table_, insert({text("2"), text(large), kNull}));
        publisher->commit(Lsn{200}, Lsn{210});
        const auto end = std::chrono::steady_clock::now() + 60s;
        while (!publisher->failure() && std::chrono::steady_clock::now() < end) {
            EXPECT_FALSE(publisher->wait_acknowledged(Lsn{210}, 50ms)) << "the broker refuses it";
        }
        EXPECT_THROW(publisher->check(), TransientError) << "a new producer is to find out";
    }
    EXPECT_TRUE(publish_all({{text("2"), text(large), kNull}, {text("3"), text("small"), kNull}}));
    EXPECT_LT(producers_, 3);
    EXPECT_EQ(letters(1).size(), 1U);
    const auto events = test::read_topic(settings_, topic_, 2);
    EXPECT_EQ(events.back().key, R"({"id":3})");
    // And back: what fits again is written again.
    test::alter_topic(settings_, topic_, "max.message.bytes", "900000");
    EXPECT_TRUE(publish_all({{text("4"), text(large), kNull}}));
    EXPECT_EQ(test::read_topic(settings_, topic_, 3).back().key, R"({"id":4})");
}

} // namespace
} // namespace keyshift::cdc
