#include "core/kafka/handles.hpp"
#include "core/kafka/kafka_error.hpp"
#include "core/kafka/murmur2.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

namespace keyshift::kafka {

namespace {

constexpr int kTimeoutMs = 15'000;
constexpr int kSliceMs = 100;
using Event = Handle<rd_kafka_event_t, &rd_kafka_event_destroy>;
using NewTopic = Handle<rd_kafka_NewTopic_t, &rd_kafka_NewTopic_destroy>;
using Resource = Handle<rd_kafka_ConfigResource_t, &rd_kafka_ConfigResource_destroy>;

Event wait_event(rd_kafka_queue_t* queue, const std::string& doing, const std::function<void()>& on_wait)
{
    Event event;
    for (int waited = 0; !event && waited < kTimeoutMs; waited += kSliceMs) {
        if (on_wait && waited > 0) {
            on_wait();
        }
        event.reset(rd_kafka_queue_poll(queue, kSliceMs));
    }
    if (!event) {
        throw_error(RD_KAFKA_RESP_ERR__TIMED_OUT, doing);
    }
    if (const auto error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw_error(error, doing, rd_kafka_event_error_string(event.get()));
    }
    return event;
}

} // namespace

struct Admin::State {
    std::function<void()> on_wait;
    Client client;
    Queue queue;
};

Admin::Admin(const Settings& settings, const std::string& client_id, std::function<void()> on_wait)
    : state_(std::make_unique<State>())
{
    state_->on_wait = std::move(on_wait);
    // Else asking for a topic would create it, with the broker's idea of its settings.
    Settings fixed = settings;
    fixed["allow.auto.create.topics"] = "false";
    state_->client = make_client(RD_KAFKA_PRODUCER, configuration(fixed, {}, client_id));
    state_->queue.reset(rd_kafka_queue_new(state_->client.get()));
}

Admin::~Admin() = default;

bool Admin::ensure_topic(const TopicSettings& topic)
{
    if (partitions(topic.name) > 0) {
        return false;
    }
    const std::string doing = "creating topic " + topic.name;
    std::array<char, 512> reason{};
    const NewTopic wanted(rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, topic.replication_factor,
                                                reason.data(), reason.size()));
    if (!wanted) {
        throw FatalError({doing, reason.data(), "Correct partitions and replication factor in [cdc]."});
    }
    for (const auto& [key, value] : topic.config) {
        rd_kafka_NewTopic_set_config(wanted.get(), key.c_str(), value.c_str());
    }
    rd_kafka_NewTopic_t* list = wanted.get();
    rd_kafka_CreateTopics(state_->client.get(), &list, 1, nullptr, state_->queue.get());
    const Event event = wait_event(state_->queue.get(), doing, state_->on_wait);
    std::size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
    const auto error = rd_kafka_topic_result_error(results[0]);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        const char* words = rd_kafka_topic_result_error_string(results[0]);
        throw_error(error, doing, words == nullptr ? "" : words);
    }
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

int Admin::partitions(const std::string& topic)
{
    return partition_count(state_->client.get(), topic, state_->on_wait);
}

std::optional<std::set<std::string>> Admin::topics(std::chrono::milliseconds wait)
{
    const rd_kafka_metadata_t* raw = nullptr;
    if (rd_kafka_metadata(state_->client.get(), 1, nullptr, &raw, static_cast<int>(wait.count())) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        return std::nullopt;
    }
    const Handle<const rd_kafka_metadata_t, &rd_kafka_metadata_destroy> metadata(raw);
    std::set<std::string> names;
    for (int at = 0; at < metadata->topic_cnt; ++at) {
        names.emplace(metadata->topics[at].topic);
    }
    return names;
}

std::string Admin::topic_config(const std::string& topic, const std::string& key)
{
    const Resource resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
    return setting(resource.get(), key, "reading the settings of topic " + topic);
}

std::size_t Admin::least_of_brokers(const std::string& key)
{
    const rd_kafka_metadata_t* raw = nullptr;
    if (const auto error = rd_kafka_metadata(state_->client.get(), 0, nullptr, &raw, kTimeoutMs);
        error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw_error(error, "asking which brokers there are");
    }
    const Handle<const rd_kafka_metadata_t, &rd_kafka_metadata_destroy> metadata(raw);
    std::size_t least = SIZE_MAX;
    for (int at = 0; at < metadata->broker_cnt; ++at) {
        const std::string broker = std::to_string(metadata->brokers[at].id);
        const Resource resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, broker.c_str()));
        const std::string value = setting(resource.get(), key, "reading the settings of broker " + broker);
        least = std::min<std::size_t>(least, std::strtoull(value.c_str(), nullptr, 10));
    }
    return least;
}

std::string Admin::setting(rd_kafka_ConfigResource_t* resource, const std::string& key, const std::string& doing)
{
    rd_kafka_DescribeConfigs(state_->client.get(), &resource, 1, nullptr, state_->queue.get());
    const Event event = wait_event(state_->queue.get(), doing, state_->on_wait);
    std::size_t count = 0;
    const auto** resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
    if (count == 0 || rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw_error(count == 0 ? RD_KAFKA_RESP_ERR_UNKNOWN : rd_kafka_ConfigResource_error(resources[0]), doing);
    }
    std::size_t entries = 0;
    const auto** configs = rd_kafka_ConfigResource_configs(resources[0], &entries);
    for (std::size_t at = 0; at < entries; ++at) {
        if (key == rd_kafka_ConfigEntry_name(configs[at])) {
            const char* value = rd_kafka_ConfigEntry_value(configs[at]);
            return value == nullptr ? "" : value;
        }
    }
    return {};
}

void Admin::ping(std::chrono::milliseconds timeout)
{
    const rd_kafka_metadata_t* raw = nullptr;
    const auto error = rd_kafka_metadata(state_->client.get(), 0, nullptr, &raw, static_cast<int>(timeout.count()));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw Error(ErrorKind::unreachable, {"connecting to Kafka", rd_kafka_err2str(error),
                                             "Check \"bootstrap.servers\" in [kafka] and that a broker runs."});
    }
    rd_kafka_metadata_destroy(raw);
}

std::int32_t murmur2_partition(std::string_view key, std::int32_t partitions)
{
    return static_cast<std::int32_t>((murmur2(key) & 0x7FFFFFFFU) % static_cast<std::uint32_t>(partitions));
}

} // namespace keyshift::kafka
