#include "cdc/publish/event_publisher.hpp"

#include "core/kafka/client.hpp"
#include "metrics/families.hpp"
#include "tests/cdc/publish/changes.hpp"
#include "tests/support/process.hpp"
#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>

namespace keyshift::cdc {
namespace {

using namespace std::chrono_literals;
using test::context;
using test::insert;
using test::kNull;
using test::small_table;
using test::text;
using testing::HasSubstr;

class EventPublisherTest : public testing::Test {
protected:
    EventPublisherTest()
    {
        options_.topic_prefix = test::unique_name("publish");
        options_.partitions = 4;
        options_.kafka = settings_;
    }

    std::unique_ptr<EventPublisher> publisher(const std::string& node = "n1")
    {
        auto made =
            std::make_unique<EventPublisher>(options_, node, "shop", 7, series_, sizes_, counts_, [this] { ++waits_; });
        made->take_over();
        return made;
    }
    std::vector<kafka::Message> read(const std::string& table, std::size_t expected) const
    {
        return test::read_topic(settings_, options_.topic_prefix + ".public." + table, expected);
    }
    std::vector<ControlRecord> control_records(std::size_t expected) const
    {
        std::vector<ControlRecord> records;
        for (const kafka::Message& message :
             test::read_topic(settings_, control_topic(options_.topic_prefix), expected)) {
            records.push_back(parse_control_record(message.value.value()).value());
        }
        return records;
    }
    /// Until a progress record with this LSN is in Kafka.
    static bool recorded(EventPublisher& publisher, Lsn lsn)
    {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (publisher.recorded() < lsn && std::chrono::steady_clock::now() < end) {
            publisher.wait_acknowledged(Lsn{UINT64_MAX}, 5ms);
        }
        return publisher.recorded() >= lsn;
    }

    kafka::Settings settings_ = test::TestServers().kafka();
    CdcOptions options_;
    SizeLimits sizes_{1'000'000};
    PartitionCounts counts_;
    metrics::Metrics metrics_;
    metrics::CdcMetrics series_{metrics_.registry(), "n1"};
    TableSchema table_ = small_table();
    int waits_ = 0;
};

TEST_F(EventPublisherTest, EventsOfAKeyArriveInOrderOnTheJavaClientsPartition) // INV-CDC-2
{
    const auto publisher = this->publisher();
    for (std::uint64_t seq = 0; seq < 2000; ++seq) {
        const std::string id = std::to_string(seq % 50);
        publisher->publish(context(200, seq), table_, insert({text(id), text("v"), kNull}));
    }
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    EXPECT_EQ(publisher->queued_bytes(), 0U);
    const auto messages = read("t", 2000);
    ASSERT_EQ(messages.size(), 2000U);
    std::map<std::string, std::uint64_t> last;
    for (const kafka::Message& message : messages) {
        const auto position = SourcePosition::parse(message.header(kHeaderPosition).value());
        ASSERT_TRUE(position.has_value());
        const auto seen = last.find(*message.key);
        EXPECT_TRUE(seen == last.end() || seen->second < position->seq) << *message.key;
        last[*message.key] = position->seq;
        EXPECT_EQ(message.partition, kafka::murmur2_partition(*message.key, 4));
        EXPECT_EQ(message.header(kHeaderOrigin), "n1/17");
    }
    EXPECT_EQ(last.size(), 50U);
    EXPECT_EQ(kafka::Admin(settings_, "test").topic_config(options_.topic_prefix + ".public.t", "cleanup.policy"),
              "delete");
}

TEST_F(EventPublisherTest, ADeleteIsFollowedByItsTombstone)
{
    options_.partitions = 1;
    const auto publisher = this->publisher();
    publisher->publish(context(), table_, insert({text("1"), text("v"), kNull}));
    publisher->publish(context(200, 1), table_, test::remove({text("1"), kNull, kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    const auto messages = read("t", 3);
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_THAT(messages[1].value.value(), HasSubstr(R"("op":"d")"));
    EXPECT_EQ(messages[2].value, std::nullopt);
    EXPECT_EQ(messages[2].key, R"({"id":1})");
}

TEST_F(EventPublisherTest, WhatIsRecordedIsInAProgressRecordThatANewStreamReads) // INV-CDC-2
{
    const auto publisher = this->publisher();
    publisher->publish(context(), table_, insert({text("1"), text("v"), kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_recorded(Lsn{210}, 20s));
    EXPECT_GE(last_progress(options_, "n1", [] {}).value().lsn, Lsn{210});
    EXPECT_FALSE(publisher->wait_recorded(Lsn{211}, 50ms)) << "nothing has come that far";
}

TEST_F(EventPublisherTest, ProgressClaimsOnlyWhatIsAcknowledgedWithItsEndOffsets) // INV-CDC-1
{
    options_.partitions = 1;
    const auto publisher = this->publisher();
    publisher->publish(context(), table_, insert({text("1"), text("v"), kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(recorded(*publisher, Lsn{210}));
    publisher->publish(context(300), table_, insert({text("2"), text("v"), kNull}));
    ASSERT_FALSE(publisher->wait_acknowledged(Lsn{211}, 300ms)) << "its transaction has not ended";
    EXPECT_EQ(publisher->recorded(), Lsn{210});
    publisher->commit(Lsn{300}, Lsn{310});
    ASSERT_TRUE(recorded(*publisher, Lsn{310}));

    const std::string topic = options_.topic_prefix + ".public.t";
    for (const ControlRecord& record : control_records(2)) {
        const auto& progress = std::get<ProgressRecord>(record);
        EXPECT_EQ(progress.node, "n1");
        EXPECT_EQ(progress.timeline, 7U);
        // The second event stands behind the marker of the transaction that held the first.
        EXPECT_GE(progress.end_offsets.at(topic).at(0), progress.lsn >= Lsn{310} ? 3 : 1);
    }
    const auto last = last_progress(options_, "n1", [] {});
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->lsn, Lsn{310});
    EXPECT_EQ(last->end_offsets.at(topic).at(0), 3);
}

TEST_F(EventPublisherTest, AnIdleNodesProgressMovesOnToo)
{
    const auto publisher = this->publisher();
    publisher->advance(Lsn{500});
    EXPECT_EQ(publisher->acknowledged(), Lsn{500});
    EXPECT_TRUE(recorded(*publisher, Lsn{500}));
    publisher->heartbeat(1234);
    const auto beats = test::read_topic(settings_, heartbeat_topic(options_.topic_prefix), 1);
    ASSERT_EQ(beats.size(), 1U);
    EXPECT_EQ(beats[0].key, fmt::format(R"({{"serverName":"{}"}})", options_.topic_prefix));
    EXPECT_EQ(beats[0].value, R"({"ts_ms":1234})");
}

TEST_F(EventPublisherTest, ALaterRecordThatSaysLessTakesNothingBack)
{
    const auto far = publisher("n1");
    far->advance(Lsn{500});
    ASSERT_TRUE(recorded(*far, Lsn{500}));
    const auto near = publisher("n1");
    near->advance(Lsn{300});
    ASSERT_TRUE(recorded(*near, Lsn{300}));
    EXPECT_EQ(last_progress(options_, "n1", [] {}).value().lsn, Lsn{500});
}

TEST_F(EventPublisherTest, BehindAGapProgressBeginsAnew)
{
    const auto before = publisher("n1");
    before->advance(Lsn{500});
    ASSERT_TRUE(recorded(*before, Lsn{500}));
    before->control(GapRecord{"n2", 3, Lsn{500}, Lsn{100}});
    before->control(GapRecord{"n1", 3, Lsn{500}, Lsn{100}});
    const auto told = [&] {
        const auto last = last_progress(options_, "n1", [] {});
        return std::pair(last.value().timeline, last.value().lsn);
    };
    ASSERT_EQ(control_records(3).size(), 3U);
    EXPECT_EQ(told(), std::pair(3U, Lsn{100}));
    const auto after = publisher("n1");
    after->advance(Lsn{200});
    ASSERT_TRUE(recorded(*after, Lsn{200}));
    EXPECT_EQ(told(), std::pair(7U, Lsn{200}));
}

TEST_F(EventPublisherTest, TheLastProgressOfANodeIsFoundBehindThousandsOfOthers)
{
    EXPECT_FALSE(last_progress(options_, "n1", [] {}).has_value()) << "no topic yet";
    const auto quiet = publisher("n1");
    EXPECT_FALSE(last_progress(options_, "n1", [] {}).has_value()) << "an empty topic";
    quiet->advance(Lsn{100});
    ASSERT_TRUE(recorded(*quiet, Lsn{100}));
    const auto busy = publisher("n2");
    for (std::uint64_t number = 0; number < 5000; ++number) {
        busy->control(SnapshotRecord{"n2", "public.t", "begin", Lsn{number}});
    }
    busy->advance(Lsn{999});
    ASSERT_TRUE(recorded(*busy, Lsn{999}));
    EXPECT_EQ(last_progress(options_, "n1", [] {}).value().lsn, Lsn{100});
    EXPECT_EQ(last_progress(options_, "n2", [] {}).value().lsn, Lsn{999});
    EXPECT_FALSE(last_progress(options_, "n3", [] {}).has_value());
}

TEST_F(EventPublisherTest, AControlRecordComesAfterAllThatWasPublishedBeforeIt)
{
    options_.partitions = 1;
    const auto publisher = this->publisher();
    const std::string big(2000, 'x');
    for (std::uint64_t seq = 0; seq < 3000; ++seq) {
        publisher->publish(context(200, seq), table_, insert({text("1"), text(big), kNull}));
    }
    publisher->control(SnapshotRecord{"n1", "public.t", "end", Lsn{200}});
    kafka::Consumer consumer(settings_, "test");
    const auto records = control_records(1);
    const auto data_end = consumer.watermarks(options_.topic_prefix + ".public.t", 0).second;
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(std::get<SnapshotRecord>(records[0]).phase, "end");
    EXPECT_GE(data_end, 3000) << "although the transaction has not ended";
}

TEST_F(EventPublisherTest, AFullQueueMakesThePublisherWaitAndLosesNothing) // INV-OPS-1
{
    options_.producer_queue_bytes = 256 << 10U;
    options_.partitions = 1;
    const auto publisher = this->publisher();
    const std::string big(20'000, 'x');
    for (std::uint64_t seq = 0; seq < 500; ++seq) {
        publisher->publish(context(200, seq), table_, insert({text(std::to_string(seq)), text(big), kNull}));
        ASSERT_LE(publisher->queued_bytes(), 512U << 10U);
    }
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 30s));
    EXPECT_GT(waits_, 0) << "the stream answers its server meanwhile";
    EXPECT_EQ(read("t", 500).size(), 500U);
}

TEST_F(EventPublisherTest, WhoeverStopsTheStreamStopsAWaitingPublisher)
{
    options_.producer_queue_bytes = 64 << 10U;
    bool stopped = false; // not while the broker is being got ready
    EventPublisher publisher(options_, "n1", "shop", 1, series_, sizes_, counts_, [&stopped] {
        if (stopped) {
            throw TransientError({"streaming", "a stop was requested", ""});
        }
    });
    publisher.take_over();
    const std::string big(60'000, 'x');
    publisher.publish(context(200, 0), table_, insert({text("1"), text(big), kNull}));
    stopped = true;
    const auto fill = [&] {
        for (std::uint64_t seq = 1; seq < 1000; ++seq) {
            publisher.publish(context(200, seq), table_, insert({text("1"), text(big), kNull}));
        }
    };
    EXPECT_THROW(fill(), TransientError);
}

TEST_F(EventPublisherTest, EventsAreCountedWhenTheyAreAcknowledged)
{
    const auto publisher = this->publisher();
    publisher->publish(context(), table_, insert({text("1"), text("v"), kNull}));
    publisher->publish(context(200, 1), table_,
                       test::update(Tuple{text("1"), kNull, kNull}, true, {text("2"), text("v"), kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    ASSERT_TRUE(recorded(*publisher, Lsn{210})) << "so the turn of the last delivery is over";
    EXPECT_EQ(series_.events("public.t", "c").value(), 2);
    EXPECT_EQ(series_.events("public.t", "d").value(), 1);
    EXPECT_EQ(series_.events("public.t", "u").value(), 0);
}

TEST_F(EventPublisherTest, ATopicThatIsThereIsUsedAsItIs)
{
    const std::string topic = options_.topic_prefix + ".public.t";
    kafka::Admin admin(settings_, "test");
    ASSERT_TRUE(admin.ensure_topic({topic, 2, 1, {{"cleanup.policy", "compact"}}}));
    const auto publisher = this->publisher();
    publisher->publish(context(), table_, insert({text("1"), text("v"), kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    EXPECT_EQ(admin.partitions(topic), 2);
    EXPECT_EQ(admin.topic_config(topic, "cleanup.policy"), "compact");
}

TEST_F(EventPublisherTest, TheTopicsOwnLimitIsKnownBeforeATransactionBreaksOnIt)
{
    const std::string topic = options_.topic_prefix + ".public.t";
    ASSERT_TRUE(kafka::Admin(settings_, "test").ensure_topic({topic, 1, 1, {{"max.message.bytes", "3000"}}}));
    const auto publisher = this->publisher();
    const std::string large(5000, 'x');
    EXPECT_THROW(publisher->publish(context(), table_, insert({text("1"), text(large), kNull})), FatalError);
    publisher->publish(context(), table_, insert({text("1"), text("v"), kNull}));
    publisher->commit(Lsn{200}, Lsn{210});
    EXPECT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
}

TEST_F(EventPublisherTest, AnOlderPublisherOfTheStreamIsShutOutAtTheBroker) // INV-CDC-2
{
    options_.partitions = 1;
    const std::string topic = options_.topic_prefix + ".public.t";
    const auto older = publisher();
    older->publish(context(200), table_, insert({text("1"), text("old"), kNull}));
    older->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(older->wait_acknowledged(Lsn{210}, 20s));
    const std::string filler(5000, 'x');
    for (std::uint64_t seq = 0; seq < 500; ++seq) {
        older->publish(context(300, seq), table_, insert({text("1"), text("old " + filler), kNull}));
    }
    const auto newer = publisher();
    newer->publish(context(300), table_, insert({text("1"), text("new"), kNull}));
    newer->commit(Lsn{300}, Lsn{310});
    ASSERT_TRUE(newer->wait_acknowledged(Lsn{310}, 20s));

    const auto write_on = [&] {
        const auto end = std::chrono::steady_clock::now() + 30s;
        for (std::uint64_t seq = 0; std::chrono::steady_clock::now() < end; ++seq) {
            older->publish(context(400 + seq), table_, insert({text("1"), text("old"), kNull}));
            older->commit(Lsn{400 + seq}, Lsn{401 + seq});
            ASSERT_FALSE(older->wait_acknowledged(Lsn{401}, 5ms)) << "the loser can confirm nothing";
        }
    };
    EXPECT_THROW(write_on(), kafka::FencedError);
    bool seen_new = false;
    for (const kafka::Message& message : read("t", 2)) {
        seen_new = seen_new || message.value->find(R"("new")") != std::string::npos;
        EXPECT_TRUE(!seen_new || message.value->find(R"("old)") == std::string::npos) << message.offset;
    }
    EXPECT_TRUE(seen_new);
}

TEST_F(EventPublisherTest, ReadersOfCommittedRecordsHaveWhatIsAcknowledged)
{
    options_.partitions = 2;
    const auto publisher = this->publisher();
    for (std::uint64_t seq = 0; seq < 100; ++seq) {
        publisher->publish(context(200, seq), table_, insert({text(std::to_string(seq)), text("v"), kNull}));
    }
    publisher->commit(Lsn{200}, Lsn{210});
    ASSERT_TRUE(publisher->wait_acknowledged(Lsn{210}, 20s));
    const test::Finished kcat = test::run_program({"/usr/bin/env", "kcat", "-b", settings_.at("bootstrap.servers"),
                                                   "-C", "-t", options_.topic_prefix + ".public.t", "-o", "beginning",
                                                   "-e", "-q", "-X", "isolation.level=read_committed", "-f", "%o\n"},
                                                  {}, 60s);
    ASSERT_EQ(kcat.status, 0) << kcat.err;
    EXPECT_EQ(std::ranges::count(kcat.out, '\n'), 100) << kcat.err;
}

TEST_F(EventPublisherTest, LongTransactionsAreFewer)
{
    options_.partitions = 1;
    const auto publisher = this->publisher();
    constexpr std::uint64_t kEvents = 200;
    const auto trickle = [&](std::uint64_t first) {
        for (std::uint64_t number = first; number < first + kEvents; ++number) {
            publisher->publish(context(200 + number, 0), table_, insert({text("1"), text("v"), kNull}));
            publisher->commit(Lsn{200 + number}, Lsn{201 + number});
            std::this_thread::sleep_for(5ms);
        }
        ASSERT_TRUE(publisher->wait_acknowledged(Lsn{200 + first + kEvents}, 20s));
    };
    trickle(0);
    publisher->long_transactions(true);
    trickle(kEvents);
    const std::vector<kafka::Message> events = read("t", 2 * kEvents);
    ASSERT_EQ(events.size(), 2 * kEvents);
    // Offsets without a record are the ends of transactions.
    const std::int64_t with_short = events.at(kEvents).offset - static_cast<std::int64_t>(kEvents);
    const std::int64_t with_long = events.back().offset + 1 - static_cast<std::int64_t>(2 * kEvents) - with_short;
    EXPECT_GT(with_long, 0);
    EXPECT_LT(with_long, with_short);
}

TEST_F(EventPublisherTest, WithoutABrokerThereIsNoPublisher)
{
    options_.kafka["bootstrap.servers"] = "127.0.0.1:1";
    EXPECT_THROW(this->publisher(), Error) << "topics cannot be made sure of";
}

} // namespace
} // namespace keyshift::cdc
