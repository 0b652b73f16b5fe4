#pragma once
/// librdkafka behind three small classes. Settings go through key by key ("bootstrap.servers" and whatever else
/// librdkafka 2.0 knows); librdkafka checks them, a bad one is an Error of kind configuration that names the key.
/// Error codes are classed in one table: broker away, timeouts, leader changes -> TransientError (mostly retried inside);
/// authorization, authentication, unknown setting, message too large -> FatalError naming topic and what to do.

#include "core/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct rd_kafka_ConfigResource_s;

namespace keyshift::kafka {

/// librdkafka settings as the [kafka] section of the configuration has them.
using Settings = std::map<std::string, std::string>;

/// Throws Error(configuration) naming the first bad key; touches no broker.
void check(const Settings& settings);

struct Header {
    std::string_view name;
    std::string_view value;
};
struct Record {
    std::string_view topic;
    std::optional<std::int32_t> partition; ///< nullopt: murmur2 of the key as the Java client, random without key
    std::optional<std::string_view> key;
    std::optional<std::string_view> value; ///< nullopt: a tombstone
    std::span<const Header> headers;
    std::uint64_t token = 0; ///< comes back in Delivery
};
/// librdkafka's limits for one record and for one batch, as these settings have them.
std::size_t message_limit(const Settings& settings);
std::size_t batch_limit(const Settings& settings);

/// What became of one record.
struct Delivery {
    std::uint64_t token = 0;
    std::string_view topic; ///< lives as long as the producer
    std::int32_t partition = -1;
    std::int64_t offset = -1;
    std::size_t bytes = 0;           ///< of key and value
    std::optional<ErrorParts> error; ///< set: not written
    bool retry = false;              ///< with error: a new producer may succeed (queue purged, fatal producer state)
    bool fenced = false;             ///< with error: another producer has taken the transactional.id over
    bool too_large = false;          ///< with error: the broker refused it, or the batch it was in, for its size
};

/// Another producer with the same transactional.id has started (or the broker ended a transaction that was open for too
/// long): this one can write nothing any more.
struct FencedError : TransientError {
    using TransientError::TransientError;
};

/// Idempotent producer, acks=all. All calls from one thread unless said otherwise; deliveries come in poll() and flush().
///
/// With a transactional.id it writes in transactions only, and whoever takes the id over shuts older producers out at the
/// broker: nothing of theirs is written after init_transactions() has returned true.
class Producer {
public:
    /// Called from within poll() and flush().
    using OnDelivery = std::function<void(const Delivery&)>;
    /// queue_bytes bounds what is on its way, but for one record that is larger by itself; linger as linger.ms; transactional_id "": none.
    Producer(const Settings& settings, const std::string& client_id, std::size_t queue_bytes,
             std::chrono::milliseconds linger, OnDelivery on_delivery, const std::string& transactional_id = {});
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    /// False: the queue is full, poll and try again. Throws FatalError when the record can never be written (too large),
    /// otherwise as check() does.
    bool try_produce(const Record& record);
    /// Serves deliveries for at most `wait`. Returns the number served.
    int poll(std::chrono::milliseconds wait);
    /// Sends now instead of lingering, until all are delivered or the timeout.
    bool flush(std::chrono::milliseconds timeout);
    /// Asks for the topic's partitions, so that the first record to it need not wait a second for them.
    void learn(const std::string& topic);
    /// `on_news` is called, on a thread of librdkafka's, when there is something to poll.
    void notify(std::function<void()> on_news);

    /// False: not done within `wait`, call it again. Throws FatalError naming the right that is missing.
    bool init_transactions(std::chrono::milliseconds wait);
    void begin_transaction();
    /// As init_transactions(). Any thread, while no other call is made. Throws TransientError when the transaction cannot
    /// be committed (make a new producer, replay), FencedError as check().
    bool commit_transaction(std::chrono::milliseconds wait);

    /// Any thread.
    std::size_t queued_records() const;
    /// Set once librdkafka declared the producer unusable. Any thread.
    std::optional<ErrorParts> fatal() const;
    /// Throws it: FencedError, FatalError when a new producer would meet it again, else TransientError.
    void check() const;
    /// Last broker-level error text ("all brokers down"), for status; empty when brokers are up. Any thread.
    std::string broker_error() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

struct Message {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;
    std::int64_t timestamp_ms = 0;

    std::optional<std::string_view> header(std::string_view name) const;
};
struct TopicPartition {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0; ///< next to read

    auto operator<=>(const TopicPartition&) const = default;
};

/// Reads assigned partitions from given offsets; commits nothing. One thread, but for passed().
///
/// It reads what is not yet committed too, as most readers do: a record whose transaction was aborted comes again, and its
/// position tells (docs/kafka.md). Transaction markers take offsets of their own, which no poll returns.
class Consumer {
public:
    /// `on_wait` is called every few 100 ms while partitions() and watermarks() wait for a broker; it may throw to give up.
    Consumer(const Settings& settings, const std::string& client_id, std::function<void()> on_wait = {});
    ~Consumer();
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    void assign(std::span<const TopicPartition> positions);
    /// Up to `most` messages; waits at most `wait` for the first. Throws TransientError / FatalError (e.g. offset out of
    /// range: kept no longer, reported as FatalError with topic, partition and both offsets).
    std::vector<Message> poll(std::size_t most, std::chrono::milliseconds wait);
    /// True when, everything below `next` being taken, everything below `until` is: what lies between are markers. As far as
    /// polls have seen. Any thread.
    bool passed(const std::string& topic, std::int32_t partition, std::int64_t next, std::int64_t until) const;
    /// First and end offset; the end counts markers.
    std::pair<std::int64_t, std::int64_t> watermarks(const std::string& topic, std::int32_t partition);
    /// Partition count; 0: no such topic.
    int partitions(const std::string& topic);

private:
    struct State;
    std::unique_ptr<State> state_;
};

struct TopicSettings {
    std::string name;
    int partitions = 1;
    int replication_factor = 1;
    std::map<std::string, std::string> config; ///< e.g. cleanup.policy=delete
};
class Admin {
public:
    /// `on_wait` is called every few 100 ms while a broker is waited for; it may throw to give up.
    Admin(const Settings& settings, const std::string& client_id, std::function<void()> on_wait = {});
    ~Admin();
    Admin(const Admin&) = delete;
    Admin& operator=(const Admin&) = delete;

    /// Creates the topic when it is missing; true: created. An existing one is left as it is.
    bool ensure_topic(const TopicSettings& topic);
    int partitions(const std::string& topic);
    /// Every topic that there is and that the user may see; nullopt: no answer within `wait`.
    std::optional<std::set<std::string>> topics(std::chrono::milliseconds wait);
    /// One setting of a topic as the broker has it.
    std::string topic_config(const std::string& topic, const std::string& key);
    /// The smallest value that any broker has for a setting of brokers which is a number.
    std::size_t least_of_brokers(const std::string& key);
    /// Throws Error(unreachable) when no broker answers in time.
    void ping(std::chrono::milliseconds timeout);

private:
    std::string setting(rd_kafka_ConfigResource_s* resource, const std::string& key, const std::string& doing);

    struct State;
    std::unique_ptr<State> state_;
};

/// The partition the Java client's default partitioner gives a key.
std::int32_t murmur2_partition(std::string_view key, std::int32_t partitions);

} // namespace keyshift::kafka
