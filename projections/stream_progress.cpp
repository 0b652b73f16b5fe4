#include "projections/stream_progress.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace keyshift::projections {

using namespace std::chrono_literals;

bool wait_for_streams(const kafka::Settings& settings, const std::string& topic_prefix,
                      const std::map<std::string, Lsn>& wanted, std::stop_token stop)
{
    // Streams write progress at every heartbeat, so what is needed comes soon; some past records spare the wait.
    constexpr std::int64_t kLookBack = 200;
    kafka::Consumer consumer(settings, "keyshift-projection-progress");
    const std::string topic = control_topic(topic_prefix);
    const auto [first, end] = consumer.watermarks(topic, 0);
    consumer.assign(std::array{kafka::TopicPartition{topic, 0, std::max(first, end - kLookBack)}});
    std::map<std::string, Lsn> left = wanted;
    while (!left.empty() && !stop.stop_requested()) {
        for (const kafka::Message& message : consumer.poll(1000, 100ms)) {
            const auto record = message.value ? parse_control_record(*message.value) : std::nullopt;
            if (const auto* gap = record ? std::get_if<GapRecord>(&*record) : nullptr;
                gap != nullptr && wanted.contains(gap->node)) {
                left[gap->node] = wanted.at(gap->node); // positions before it are of another history
            }
            if (!record || !std::holds_alternative<ProgressRecord>(*record)) {
                continue;
            }
            const auto& progress = std::get<ProgressRecord>(*record);
            const auto node = left.find(progress.node);
            if (node != left.end() && progress.lsn >= node->second) {
                left.erase(node);
            }
        }
    }
    return left.empty();
}

} // namespace keyshift::projections
