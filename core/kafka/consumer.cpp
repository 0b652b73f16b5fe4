#include "core/backoff.hpp"
#include "core/kafka/handles.hpp"
#include "core/kafka/kafka_error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace keyshift::kafka {

namespace {

constexpr int kTimeoutMs = 10'000;
constexpr int kLeaderTries = 50;
constexpr auto kLeaderPause = std::chrono::milliseconds(100);

bool is_leaderless(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

Message converted(const rd_kafka_message_t& raw)
{
    Message message;
    message.topic = rd_kafka_topic_name(raw.rkt);
    message.partition = raw.partition;
    message.offset = raw.offset;
    if (raw.key != nullptr) {
        message.key.emplace(static_cast<const char*>(raw.key), raw.key_len);
    }
    if (raw.payload != nullptr) {
        // With the room that simdjson wants to see behind a document, it parses without a copy.
        constexpr std::size_t kPadding = 64;
        message.value.emplace().reserve(raw.len + kPadding);
        message.value->assign(static_cast<const char*>(raw.payload), raw.len);
    }
    rd_kafka_timestamp_type_t type{};
    message.timestamp_ms = rd_kafka_message_timestamp(&raw, &type);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&raw, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        message.headers.reserve(rd_kafka_header_cnt(headers));
        for (std::size_t at = 0;
             rd_kafka_header_get_all(headers, at, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++at) {
            message.headers.emplace_back(name, value == nullptr ? std::string()
                                                                : std::string(static_cast<const char*>(value), size));
        }
    }
    return message;
}

/// A topic that is not there is told to the caller; librdkafka itself would wait for it without a word.
bool is_missing(int code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

} // namespace

std::optional<std::string_view> Message::header(std::string_view name) const
{
    for (const auto& [header_name, header_value] : headers) {
        if (header_name == name) {
            return header_value;
        }
    }
    return std::nullopt;
}

struct Consumer::State {
    struct Failure {
        int code;
        std::string doing;
        std::string detail;
    };
    /// How far one partition was read.
    struct Reading {
        std::int64_t returned = -1; ///< the last offset that a poll returned, or the one before the first to read
        std::int64_t end = -1;      ///< everything below was returned, or is a marker
    };
    Client client;
    std::function<void()> on_wait;
    mutable std::mutex mutex;
    std::map<std::pair<std::string, std::int32_t>, Reading> readings; ///< guarded by mutex
    /// Met after messages of the same poll, which go to the caller first.
    std::optional<Failure> failure;

    void note(const std::vector<Message>& messages);
    void note_end(const rd_kafka_message_t& event);
    void throw_failure()
    {
        if (const auto met = std::exchange(failure, std::nullopt)) {
            throw_error(met->code, met->doing, met->detail);
        }
    }
};

void Consumer::State::note(const std::vector<Message>& messages)
{
    std::scoped_lock lock(mutex);
    // Neighbours are mostly of one partition.
    for (std::size_t at = 0; at < messages.size(); ++at) {
        const Message& message = messages[at];
        if (at + 1 == messages.size() || messages[at + 1].partition != message.partition ||
            messages[at + 1].topic != message.topic) {
            readings[{message.topic, message.partition}].returned = message.offset;
        }
    }
}

void Consumer::State::note_end(const rd_kafka_message_t& event)
{
    std::scoped_lock lock(mutex);
    readings[{rd_kafka_topic_name(event.rkt), event.partition}].end = event.offset;
}

Consumer::Consumer(const Settings& settings, const std::string& client_id, std::function<void()> on_wait)
    : state_(std::make_unique<State>())
{
    state_->on_wait = std::move(on_wait);
    const Settings defaults{{"group.id", client_id},
                            {"enable.auto.commit", "false"},
                            {"auto.offset.reset", "error"},
                            {"fetch.wait.max.ms", "100"},
                            {"queued.max.messages.kbytes", "16384"},
                            {"fetch.error.backoff.ms", "50"},
                            {"socket.nagle.disable", "true"},
                            {"reconnect.backoff.max.ms", "1000"},
                            {"allow.auto.create.topics", "false"},
                            {"topic.metadata.propagation.max.ms", "5000"}};
    Settings fixed = settings;
    // Positions are compared whatever a transaction's end: nothing is gained by waiting for commits of other writers.
    fixed["isolation.level"] = "read_uncommitted";
    fixed["enable.partition.eof"] = "true";
    Configuration conf = configuration(fixed, defaults, client_id);
    rd_kafka_conf_set_opaque(conf.get(), state_.get());
    // Called within poll(), on its thread.
    rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t*, int code, const char* reason, void* opaque) {
        if (is_missing(code)) {
            static_cast<State*>(opaque)->failure = State::Failure{code, "reading", reason};
        }
    });
    state_->client = make_client(RD_KAFKA_CONSUMER, std::move(conf));
    rd_kafka_poll_set_consumer(state_->client.get());
}

Consumer::~Consumer()
{
    rd_kafka_assign(state_->client.get(), nullptr);
    rd_kafka_consumer_close(state_->client.get());
}

void Consumer::assign(std::span<const TopicPartition> positions)
{
    const TopicList list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
    std::scoped_lock lock(state_->mutex);
    state_->readings.clear();
    for (const TopicPartition& position : positions) {
        state_->readings[{position.topic, position.partition}].returned = position.offset - 1;
        rd_kafka_topic_partition_list_add(list.get(), position.topic.c_str(), position.partition)->offset =
            position.offset;
    }
    if (const auto error = rd_kafka_assign(state_->client.get(), list.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw_error(error, "assigning partitions");
    }
}

std::vector<Message> Consumer::poll(std::size_t most, std::chrono::milliseconds wait)
{
    state_->throw_failure();
    std::vector<Message> messages;
    const auto give_up = std::chrono::steady_clock::now() + wait;
    auto left = wait;
    while (messages.size() < most) {
        const MessageHandle raw(rd_kafka_consumer_poll(state_->client.get(), static_cast<int>(left.count())));
        if (!raw) {
            break;
        }
        if (raw->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            // What came before it counts first.
            state_->note(messages);
            state_->note_end(*raw);
            const auto rest = std::chrono::ceil<std::chrono::milliseconds>(give_up - std::chrono::steady_clock::now());
            left = messages.empty() ? std::max(rest, std::chrono::milliseconds(0)) : std::chrono::milliseconds(0);
            continue;
        }
        left = std::chrono::milliseconds(0);
        if (raw->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            messages.push_back(converted(*raw));
        } else if (is_missing(raw->err) || classify(raw->err) != ErrorClass::transient) {
            const std::string topic = raw->rkt == nullptr ? "" : rd_kafka_topic_name(raw->rkt);
            state_->failure = State::Failure{
                raw->err, fmt::format("reading topic {} partition {} at offset {}", topic, raw->partition, raw->offset),
                rd_kafka_message_errstr(raw.get())};
            break;
        } else {
            break;
        }
    }
    if (messages.empty()) {
        state_->throw_failure();
    }
    state_->note(messages);
    return messages;
}

bool Consumer::passed(const std::string& topic, std::int32_t partition, std::int64_t next, std::int64_t until) const
{
    std::scoped_lock lock(state_->mutex);
    const auto reading = state_->readings.find({topic, partition});
    return next >= until ||
           (reading != state_->readings.end() && reading->second.returned < next && reading->second.end >= until);
}

std::pair<std::int64_t, std::int64_t> Consumer::watermarks(const std::string& topic, std::int32_t partition)
{
    std::int64_t low = 0;
    std::int64_t high = 0;
    const auto ask = [&] {
        return ask_patiently(
            [&](int limit_ms) {
                return rd_kafka_query_watermark_offsets(state_->client.get(), topic.c_str(), partition, &low, &high,
                                                        limit_ms);
            },
            kTimeoutMs, state_->on_wait);
    };
    auto error = ask();
    // A topic that was made just now is known before its partitions have leaders.
    for (int tries = 0; is_leaderless(error) && tries < kLeaderTries; ++tries) {
        if (state_->on_wait) {
            state_->on_wait();
        }
        sleep_for(kLeaderPause, {});
        error = ask();
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw_error(error, fmt::format("asking for the offsets of {} partition {}", topic, partition));
    }
    return {low, high};
}

int Consumer::partitions(const std::string& topic)
{
    return partition_count(state_->client.get(), topic, state_->on_wait);
}

} // namespace keyshift::kafka
