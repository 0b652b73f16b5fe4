#include "core/kafka/handles.hpp"
#include "core/kafka/kafka_error.hpp"
#include "core/kafka/producer_error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <set>

namespace keyshift::kafka {

using TopicHandle = Handle<rd_kafka_topic_t, &rd_kafka_topic_destroy>;
using KafkaError = Handle<rd_kafka_error_t, &rd_kafka_error_destroy>;

struct Producer::State {
    OnDelivery on_delivery;
    std::function<void()> on_news;
    std::string transactional_id;
    mutable std::mutex mutex;
    std::string broker_error; ///< guarded by mutex
    std::atomic<bool> broker_failed = false;
    std::optional<ErrorParts> fatal; ///< guarded by mutex
    int fatal_code = 0;              ///< guarded by mutex
    std::set<std::string> denied;    ///< guarded by mutex; topics that may not be written
    Client client;
    Queue events;                                           ///< where deliveries arrive; set by notify()
    std::map<std::string, TopicHandle, std::less<>> topics; ///< destroyed before the client
    std::size_t queue_bytes = 0;                            ///< bound of queued_bytes, but for a record that is alone
    std::size_t queued_bytes = 0;                           ///< of key and value; the thread of all calls
    std::string last_name;
    rd_kafka_topic_t* last_topic = nullptr;

    void delivered(const rd_kafka_message_t& message);
    void failed(rd_kafka_t* handle, int code, const char* reason);
    void logged(std::string_view text);
    std::string denied_topics() const;
    rd_kafka_topic_t* topic(std::string_view name);
    /// True: done. False: to be called again. Throws what stands in the way.
    bool settled(rd_kafka_error_t* raw, const std::string& doing) const;
};

namespace {

/// librdkafka by itself looks for the leaders of a new topic once a second only. Should it fail, that is what happens.
void learn_leaders(rd_kafka_t* client, rd_kafka_topic_t* topic)
{
    constexpr int kLimitMs = 1000;
    const rd_kafka_metadata_t* raw = nullptr;
    rd_kafka_metadata(client, 0, topic, &raw, kLimitMs);
    const Handle<const rd_kafka_metadata_t, &rd_kafka_metadata_destroy> metadata(raw);
}

[[noreturn]] void throw_end(int code, const ErrorParts& parts)
{
    if (is_fenced(code)) {
        throw FencedError(parts);
    }
    if (may_retry(code)) {
        throw TransientError(parts);
    }
    throw FatalError(parts);
}

} // namespace

void Producer::State::delivered(const rd_kafka_message_t& message)
{
    Delivery delivery;
    delivery.token = reinterpret_cast<std::uint64_t>(message._private);
    delivery.topic = rd_kafka_topic_name(message.rkt);
    delivery.partition = message.partition;
    delivery.offset = message.offset;
    delivery.bytes = message.len + message.key_len;
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        delivery.error =
            parts_of(message.err, fmt::format("writing a record of {} bytes to topic {}", message.len, delivery.topic));
        delivery.retry = may_retry(message.err);
        delivery.too_large = classify(message.err) == ErrorClass::too_large;
        delivery.fenced = is_fenced(message.err);
        if (delivery.fenced) {
            delivery.error = end_of_producer(message.err, transactional_id, {});
        }
    } else if (broker_failed.load(std::memory_order_relaxed)) {
        std::scoped_lock lock(mutex);
        broker_failed = false;
        broker_error.clear();
    }
    queued_bytes -= delivery.bytes;
    on_delivery(delivery);
}

/// Which topics of a transaction the broker denies, librdkafka tells in its log alone.
void Producer::State::logged(std::string_view text)
{
    constexpr std::string_view kBefore = "Failed to add partition \"";
    const std::size_t begin = text.find(kBefore);
    if (begin == std::string_view::npos || text.find("Topic authorization failed") == std::string_view::npos) {
        return;
    }
    text.remove_prefix(begin + kBefore.size());
    std::scoped_lock lock(mutex);
    denied.emplace(text.substr(0, text.find('"')));
}

std::string Producer::State::denied_topics() const
{
    std::scoped_lock lock(mutex);
    std::string all;
    for (const std::string& topic : denied) {
        all += (all.empty() ? "" : ", ") + topic;
    }
    return all;
}

void Producer::State::failed(rd_kafka_t* handle, int code, const char* reason)
{
    std::scoped_lock lock(mutex);
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        std::array<char, 512> text{};
        fatal_code = rd_kafka_fatal_error(handle, text.data(), text.size());
        fatal = end_of_producer(fatal_code, transactional_id, text.data());
    } else {
        broker_error = reason;
        broker_failed = true;
    }
}

rd_kafka_topic_t* Producer::State::topic(std::string_view name)
{
    if (last_topic != nullptr && last_name == name) {
        return last_topic;
    }
    auto known = topics.find(name);
    if (known == topics.end()) {
        std::string key(name);
        TopicHandle made(rd_kafka_topic_new(client.get(), key.c_str(), nullptr));
        if (!made) {
            throw_error(rd_kafka_last_error(), "writing to topic " + key);
        }
        learn_leaders(client.get(), made.get());
        known = topics.emplace(std::move(key), std::move(made)).first;
    }
    last_name = name;
    last_topic = known->second.get();
    return last_topic;
}

bool Producer::State::settled(rd_kafka_error_t* raw, const std::string& doing) const
{
    const KafkaError error(raw);
    if (!error) {
        return true;
    }
    if (rd_kafka_error_is_retriable(error.get()) != 0) {
        return false;
    }
    const auto code = rd_kafka_error_code(error.get());
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        throw FatalError(missing_right(code, denied_topics(), rd_kafka_error_string(error.get())));
    }
    if (rd_kafka_error_is_fatal(error.get()) != 0 || is_fenced(code) || classify(code) == ErrorClass::authorization) {
        throw_end(code, end_of_producer(code, transactional_id, rd_kafka_error_string(error.get())));
    }
    throw TransientError({doing, rd_kafka_error_string(error.get()), "It is tried again with a new producer."});
}

Producer::Producer(const Settings& settings, const std::string& client_id, std::size_t queue_bytes,
                   std::chrono::milliseconds linger, OnDelivery on_delivery, const std::string& transactional_id)
    : state_(std::make_unique<State>())
{
    state_->on_delivery = std::move(on_delivery);
    state_->queue_bytes = queue_bytes;
    state_->transactional_id = transactional_id;
    const Settings defaults{
        {"compression.codec", "lz4"},
        {"queue.buffering.max.messages", "10000000"},
        {"batch.num.messages", "10000"},
        {"socket.nagle.disable", "true"},
        {"socket.keepalive.enable", "true"},
        {"reconnect.backoff.max.ms", "1000"},
        {"linger.ms", std::to_string(linger.count())},
        // How long a transaction of a daemon that died keeps readers of committed records waiting.
        {"transaction.timeout.ms", "30000"},
        // librdkafka takes no record that is larger than its queue; try_produce() keeps to the bound.
        {"queue.buffering.max.kbytes",
         std::to_string(std::max<std::size_t>(std::max(queue_bytes, message_limit(settings)) / 1024 + 1, 1))}};
    // Order per key and no silent loss rest on these: the user's section cannot weaken them.
    Settings fixed = settings;
    fixed["enable.idempotence"] = "true";
    fixed["acks"] = "all";
    fixed["partitioner"] = "murmur2_random";
    // A record that times out would be overtaken by later ones of its key.
    fixed["message.timeout.ms"] = "0";
    fixed["allow.auto.create.topics"] = "false";
    fixed.erase("transactional.id");
    if (!transactional_id.empty()) {
        fixed["transactional.id"] = transactional_id;
    }
    Configuration conf = configuration(fixed, defaults, client_id);
    rd_kafka_conf_set_opaque(conf.get(), state_.get());
    rd_kafka_conf_set_dr_msg_cb(conf.get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
        static_cast<State*>(opaque)->delivered(*message);
    });
    rd_kafka_conf_set_log_cb(conf.get(),
                             [](const rd_kafka_t* client, int level, const char* facility, const char* text) {
                                 static_cast<State*>(rd_kafka_opaque(client))->logged(text);
                                 log_line(client, level, facility, text);
                             });
    rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t* handle, int code, const char* reason, void* opaque) {
        static_cast<State*>(opaque)->failed(handle, code, reason);
    });
    state_->client = make_client(RD_KAFKA_PRODUCER, std::move(conf));
}

Producer::~Producer()
{
    if (state_->events) {
        rd_kafka_queue_cb_event_enable(state_->events.get(), nullptr, nullptr);
    }
    // What is still queued was not acknowledged: whoever needs it replays it. Purging lets destroy return at once.
    rd_kafka_purge(state_->client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

namespace {

std::size_t number_setting(const Settings& settings, const char* name)
{
    const Configuration conf = configuration(settings, {}, "keyshift-check");
    std::array<char, 32> text{};
    std::size_t size = text.size();
    rd_kafka_conf_get(conf.get(), name, text.data(), &size);
    return std::strtoull(text.data(), nullptr, 10);
}

} // namespace

std::size_t message_limit(const Settings& settings)
{
    return number_setting(settings, "message.max.bytes");
}

std::size_t batch_limit(const Settings& settings)
{
    return std::min(number_setting(settings, "batch.size"), message_limit(settings));
}

bool Producer::try_produce(const Record& record)
{
    const std::size_t bytes = record.key.value_or("").size() + record.value.value_or("").size();
    if (state_->queued_bytes > 0 && state_->queued_bytes + bytes > state_->queue_bytes) {
        return false;
    }
    rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
    for (const Header& header : record.headers) {
        rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()), header.value.data(),
                            static_cast<ssize_t>(header.value.size()));
    }
    std::array<rd_kafka_vu_t, 7> arguments{};
    std::size_t count = 0;
    const auto next = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
        arguments.at(count).vtype = type;
        return arguments.at(count++);
    };
    next(RD_KAFKA_VTYPE_RKT).u.rkt = state_->topic(record.topic);
    next(RD_KAFKA_VTYPE_PARTITION).u.i32 = record.partition.value_or(RD_KAFKA_PARTITION_UA);
    next(RD_KAFKA_VTYPE_MSGFLAGS).u.i = RD_KAFKA_MSG_F_COPY;
    next(RD_KAFKA_VTYPE_OPAQUE).u.ptr = reinterpret_cast<void*>(record.token);
    next(RD_KAFKA_VTYPE_HEADERS).u.headers = headers;
    if (record.key) {
        next(RD_KAFKA_VTYPE_KEY).u.mem = {const_cast<char*>(record.key->data()), record.key->size()};
    }
    if (record.value) {
        next(RD_KAFKA_VTYPE_VALUE).u.mem = {const_cast<char*>(record.value->data()), record.value->size()};
    }
    const KafkaError error(rd_kafka_produceva(state_->client.get(), arguments.data(), count));
    if (!error) {
        state_->queued_bytes += bytes;
        return true;
    }
    rd_kafka_headers_destroy(headers);
    const auto code = rd_kafka_error_code(error.get());
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        return false;
    }
    check();
    // A transaction that was refused a topic takes no more records: the refusal is the reason, not its state.
    if (const std::string denied = state_->denied_topics(); !denied.empty()) {
        throw FatalError(missing_right(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, denied, {}));
    }
    if (code == RD_KAFKA_RESP_ERR__STATE || code == RD_KAFKA_RESP_ERR__FATAL) {
        throw TransientError({fmt::format("writing to topic {}", record.topic), rd_kafka_error_string(error.get()),
                              "A new producer replays from the confirmed position."});
    }
    throw_error(code, fmt::format("writing a record of {} bytes to topic {}", record.value ? record.value->size() : 0,
                                  record.topic));
}

void Producer::learn(const std::string& topic)
{
    static_cast<void>(state_->topic(topic));
    static_cast<void>(partition_count(state_->client.get(), topic));
}

void Producer::notify(std::function<void()> on_news)
{
    state_->on_news = std::move(on_news);
    state_->events.reset(rd_kafka_queue_get_main(state_->client.get()));
    rd_kafka_queue_cb_event_enable(
        state_->events.get(), [](rd_kafka_t*, void* opaque) { static_cast<State*>(opaque)->on_news(); }, state_.get());
}

bool Producer::init_transactions(std::chrono::milliseconds wait)
{
    return state_->settled(rd_kafka_init_transactions(state_->client.get(), static_cast<int>(wait.count())),
                           "taking over transactional.id " + state_->transactional_id);
}

void Producer::begin_transaction()
{
    const std::string doing = "beginning a transaction of " + state_->transactional_id;
    if (!state_->settled(rd_kafka_begin_transaction(state_->client.get()), doing)) {
        throw TransientError({doing, "the producer is not ready", "It is tried again with a new producer."});
    }
}

bool Producer::commit_transaction(std::chrono::milliseconds wait)
{
    return state_->settled(rd_kafka_commit_transaction(state_->client.get(), static_cast<int>(wait.count())),
                           "committing a transaction of " + state_->transactional_id);
}

int Producer::poll(std::chrono::milliseconds wait)
{
    return rd_kafka_poll(state_->client.get(), static_cast<int>(wait.count()));
}

bool Producer::flush(std::chrono::milliseconds timeout)
{
    return rd_kafka_flush(state_->client.get(), static_cast<int>(timeout.count())) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

std::size_t Producer::queued_records() const
{
    return static_cast<std::size_t>(rd_kafka_outq_len(state_->client.get()));
}

std::optional<ErrorParts> Producer::fatal() const
{
    std::scoped_lock lock(state_->mutex);
    return state_->fatal;
}

void Producer::check() const
{
    std::scoped_lock lock(state_->mutex);
    if (state_->fatal) {
        throw_end(state_->fatal_code, *state_->fatal);
    }
}

std::string Producer::broker_error() const
{
    std::scoped_lock lock(state_->mutex);
    return state_->broker_error;
}

} // namespace keyshift::kafka
