#include "projections/shown_progress.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace keyshift::projections {

ShownProgress::ShownProgress(const kafka::Settings& settings, const std::string& topic_prefix, std::int64_t from,
                             std::string table, const std::string& topic)
    : table_(std::move(table)), topic_(topic), next_offset_(from), consumer_(settings, "keyshift-projection-shown")
{
    // First where the records begin, then the floor: an event that no later record names is below it.
    const std::string control = control_topic(topic_prefix);
    now_ = consumer_.watermarks(control, 0).second;
    for (std::int32_t partition = 0; partition < consumer_.partitions(topic_); ++partition) {
        floor_[partition] = consumer_.watermarks(topic_, partition).second;
    }
    consumer_.assign(std::array{kafka::TopicPartition{control, 0, from}});
}

void ShownProgress::take(const ProgressRecord& record)
{
    Node& node = nodes_.try_emplace(record.node, Node{floor_, {}, {}}).first->second;
    if (const auto named = record.end_offsets.find(topic_); named != record.end_offsets.end()) {
        for (const auto& [partition, end] : named->second) {
            node.ends[partition] = std::max(node.ends[partition], end);
        }
    }
    (node.next ? node.last : node.next) = Step{record.lsn, node.ends};
}

void ShownProgress::read()
{
    constexpr std::size_t kMost = 1000;
    for (const kafka::Message& message : consumer_.poll(kMost, std::chrono::milliseconds(0))) {
        next_offset_ = message.offset;
        const auto record = message.value ? parse_control_record(*message.value) : std::nullopt;
        const auto* truncation = record ? std::get_if<TruncateRecord>(&*record) : nullptr;
        if (truncation != nullptr && truncation->table == table_) {
            truncated_ = *truncation;
            return;
        }
        ++next_offset_;
        if (message.offset >= now_ && record && std::holds_alternative<ProgressRecord>(*record)) {
            take(std::get<ProgressRecord>(*record));
        }
    }
}

std::map<std::string, Lsn> ShownProgress::advance(const Applied& applied)
{
    if (!truncated_) {
        read();
    }
    std::map<std::string, Lsn> shown;
    for (auto& [name, node] : nodes_) {
        const auto reached = [&](const Step& step) {
            return std::all_of(step.ends.begin(), step.ends.end(),
                               [&](const auto& end) { return applied(end.first, end.second); });
        };
        while (node.next && reached(*node.next)) {
            shown[name] = node.next->lsn;
            node.next = std::exchange(node.last, std::nullopt);
        }
    }
    return shown;
}

} // namespace keyshift::projections
