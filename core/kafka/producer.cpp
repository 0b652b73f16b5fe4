#include "core/kafka/handles.hpp"
#include "core/kafka/kafka_error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

namespace keyshift::kafka {

struct Producer::State {
    OnDelivery on_delivery;
    mutable std::mutex mutex;
    std::string broker_error;        ///< guarded by mutex
    std::optional<ErrorParts> fatal; ///< guarded by mutex
    Client client;

    void delivered(const rd_kafka_message_t& message);
    void failed(rd_kafka_t* handle, int code, const char* reason);
};

namespace {

/// An error after which a new producer may deliver the same record: it never says that the record itself is bad.
bool may_retry(int code)
{
    return classify(code) == ErrorClass::transient;
}

} // namespace

void Producer::State::delivered(const rd_kafka_message_t& message)
{
    Delivery delivery;
    delivery.token = reinterpret_cast<std::uint64_t>(message._private);
    delivery.topic = rd_kafka_topic_name(message.rkt);
    delivery.partition = message.partition;
    delivery.offset = message.offset;
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        delivery.error =
            parts_of(message.err, fmt::format("writing a record of {} bytes to topic {}", message.len, delivery.topic));
        delivery.retry = may_retry(message.err);
    } else {
        std::scoped_lock lock(mutex);
        broker_error.clear();
    }
    on_delivery(delivery);
}

void Producer::State::failed(rd_kafka_t* handle, int code, const char* reason)
{
    std::scoped_lock lock(mutex);
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        std::array<char, 512> text{};
        const auto cause = rd_kafka_fatal_error(handle, text.data(), text.size());
        fatal = parts_of(cause, "the idempotent producer gave up", text.data());
        fatal->next = "A new producer replays from the confirmed position.";
    } else {
        broker_error = reason;
    }
}

Producer::Producer(const Settings& settings, const std::string& client_id, std::size_t queue_bytes,
                   std::chrono::milliseconds linger, OnDelivery on_delivery)
    : state_(std::make_unique<State>())
{
    state_->on_delivery = std::move(on_delivery);
    const Settings defaults{
        {"compression.codec", "lz4"},
        {"queue.buffering.max.messages", "10000000"},
        {"batch.num.messages", "10000"},
        {"socket.nagle.disable", "true"},
        {"socket.keepalive.enable", "true"},
        {"reconnect.backoff.max.ms", "1000"},
        {"linger.ms", std::to_string(linger.count())},
        {"queue.buffering.max.kbytes", std::to_string(std::max<std::size_t>(queue_bytes / 1024, 1))}};
    // Order per key and no silent loss rest on these: the user's section cannot weaken them.
    Settings fixed = settings;
    fixed["enable.idempotence"] = "true";
    fixed["acks"] = "all";
    fixed["partitioner"] = "murmur2_random";
    // A record that times out would be overtaken by later ones of its key.
    fixed["message.timeout.ms"] = "0";
    fixed["allow.auto.create.topics"] = "false";
    Configuration conf = configuration(fixed, defaults, client_id);
    rd_kafka_conf_set_opaque(conf.get(), state_.get());
    rd_kafka_conf_set_dr_msg_cb(conf.get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
        static_cast<State*>(opaque)->delivered(*message);
    });
    rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t* handle, int code, const char* reason, void* opaque) {
        static_cast<State*>(opaque)->failed(handle, code, reason);
    });
    state_->client = make_client(RD_KAFKA_PRODUCER, std::move(conf));
}

Producer::~Producer()
{
    // What is still queued was not acknowledged: whoever needs it replays it. Purging lets destroy return at once.
    rd_kafka_purge(state_->client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

bool Producer::try_produce(const Record& record)
{
    if (const auto dead = fatal()) {
        throw TransientError(*dead);
    }
    rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
    for (const Header& header : record.headers) {
        rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()), header.value.data(),
                            static_cast<ssize_t>(header.value.size()));
    }
    const std::string topic(record.topic);
    std::array<rd_kafka_vu_t, 7> arguments{};
    std::size_t count = 0;
    const auto next = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
        arguments.at(count).vtype = type;
        return arguments.at(count++);
    };
    next(RD_KAFKA_VTYPE_TOPIC).u.cstr = topic.c_str();
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
    using KafkaError = Handle<rd_kafka_error_t, &rd_kafka_error_destroy>;
    const KafkaError error(rd_kafka_produceva(state_->client.get(), arguments.data(), count));
    if (!error) {
        return true;
    }
    rd_kafka_headers_destroy(headers);
    const auto code = rd_kafka_error_code(error.get());
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        return false;
    }
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        throw TransientError(fatal().value_or(parts_of(code, "producing to " + topic)));
    }
    throw_error(
        code, fmt::format("writing a record of {} bytes to topic {}", record.value ? record.value->size() : 0, topic));
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

std::string Producer::broker_error() const
{
    std::scoped_lock lock(state_->mutex);
    return state_->broker_error;
}

} // namespace keyshift::kafka
