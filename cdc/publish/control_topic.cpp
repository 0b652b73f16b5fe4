#include "cdc/publish/event_publisher.hpp"
#include "core/kafka/client.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace keyshift::cdc {

namespace {

using namespace std::chrono_literals;

/// What `record` says of `node` on top of what the records before it said.
void count(const std::optional<ControlRecord>& record, const std::string& node, std::optional<ProgressRecord>& newest)
{
    if (!record) {
        return;
    }
    if (const auto* gap = std::get_if<GapRecord>(&*record); gap != nullptr && gap->node == node) {
        newest = ProgressRecord{node, gap->timeline, gap->to, {}};
        return;
    }
    const auto* progress = std::get_if<ProgressRecord>(&*record);
    // What was in Kafka once stays there: behind the last gap the farthest record counts, wherever it stands.
    if (progress != nullptr && progress->node == node &&
        (!newest || std::pair(progress->timeline, progress->lsn) >= std::pair(newest->timeline, newest->lsn))) {
        newest = *progress;
    }
}

/// The farthest progress of `node` in [from, end) of the control topic.
std::optional<ProgressRecord> newest_in(kafka::Consumer& consumer, const std::string& topic, const std::string& node,
                                        std::int64_t from, std::int64_t end, const std::function<void()>& on_wait)
{
    // A broker that stops answering in the middle must not look like "no record".
    constexpr auto kPatience = 30s;
    consumer.assign(std::array{kafka::TopicPartition{topic, 0, from}});
    std::optional<ProgressRecord> newest;
    const auto give_up = std::chrono::steady_clock::now() + kPatience;
    for (std::int64_t next = from; !consumer.passed(topic, 0, next, end);) {
        on_wait();
        for (const kafka::Message& message : consumer.poll(10'000, 200ms)) {
            next = message.offset + 1;
            if (message.value && message.offset < end) {
                count(parse_control_record(*message.value), node, newest);
            }
        }
        if (!consumer.passed(topic, 0, next, end) && std::chrono::steady_clock::now() > give_up) {
            throw TransientError({"reading the progress of node " + node + " from topic " + topic,
                                  "the broker did not answer in 30 s", "It is tried again when the brokers answer."});
        }
    }
    return newest;
}

} // namespace

std::optional<ProgressRecord> last_progress(const CdcOptions& options, const std::string& node,
                                            const std::function<void()>& on_wait)
{
    // Some seconds of traffic of a dozen nodes; doubled until a record is found or the topic's beginning is reached.
    constexpr std::int64_t kFirstWindow = 1000;
    kafka::Consumer consumer(options.kafka, "keyshift-progress-" + node, on_wait);
    const std::string topic = control_topic(options.topic_prefix);
    if (consumer.partitions(topic) == 0) {
        return std::nullopt;
    }
    const auto [first, end] = consumer.watermarks(topic, 0);
    for (std::int64_t window = kFirstWindow, until = end; until > first; window *= 2) {
        const std::int64_t from = std::max(first, until - window);
        if (auto found = newest_in(consumer, topic, node, from, until, on_wait)) {
            return found;
        }
        until = from;
    }
    return std::nullopt;
}

} // namespace keyshift::cdc
