#include "projections/shown_progress.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace keyshift::projections {

ShownProgress::ShownProgress(const kafka::Settings& settings, const std::string& topic_prefix, std::int64_t from,
                             ProjectedTable table)
    : table_(std::move(table)), next_offset_(from), consumer_(settings, "keyshift-projection-shown")
{
    // First where the records begin, then the floor: an event that no later record names is below it.
    const std::string control = control_topic(topic_prefix);
    now_ = consumer_.watermarks(control, 0).second;
    for (std::int32_t partition = 0; partition < consumer_.partitions(table_.topic); ++partition) {
        floor_[partition] = consumer_.watermarks(table_.topic, partition).second;
    }
    consumer_.assign(std::array{kafka::TopicPartition{control, 0, from}});
}

void ShownProgress::take(const ProgressRecord& record)
{
    Node& node = nodes_.try_emplace(record.node, Node{floor_, {}, {}}).first->second;
    if (const auto named = record.end_offsets.find(table_.topic); named != record.end_offsets.end()) {
        for (const auto& [partition, end] : named->second) {
            node.ends[partition] = std::max(node.ends[partition], end);
        }
    }
    (node.next ? node.last : node.next) = Step{record.lsn, node.ends};
}

std::optional<ShownProgress::Loss> ShownProgress::loss_in(const ControlRecord& record) const
{
    if (const auto* truncation = std::get_if<TruncateRecord>(&record); truncation && truncation->table == table_.name) {
        return *truncation;
    }
    if (const auto* gap = std::get_if<GapRecord>(&record); gap && (table_.node.empty() || table_.node == gap->node)) {
        return *gap;
    }
    return std::nullopt;
}

void ShownProgress::read()
{
    constexpr std::size_t kMost = 1000;
    for (const kafka::Message& message : consumer_.poll(kMost, std::chrono::milliseconds(0))) {
        next_offset_ = message.offset;
        const auto record = message.value ? parse_control_record(*message.value) : std::nullopt;
        loss_ = record ? loss_in(*record) : std::nullopt;
        if (loss_) {
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
    if (!loss_) {
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
