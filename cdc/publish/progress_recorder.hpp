#pragma once
/// Knows the end offset per data partition from the delivery reports and makes the progress records of a node.
/// Called by the thread that serves deliveries only.

#include "core/change_event.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace keyshift::cdc {

class ProgressRecorder {
public:
    ProgressRecorder(std::string node, std::uint32_t timeline) : node_(std::move(node)), timeline_(timeline) {}

    /// True: the first of this partition. `topic` is told apart by its address first: it lives as long as its producer.
    bool delivered(std::string_view topic, std::int32_t partition, std::int64_t offset)
    {
        if (topic.data() != last_name_) {
            last_name_ = topic.data();
            last_ = &ends_[std::string(topic)];
        }
        const auto [end, first] = last_->try_emplace(partition, 0);
        end->second = std::max(end->second, offset + 1);
        return first;
    }
    ProgressRecord record(Lsn lsn) const { return {node_, timeline_, lsn, ends_}; }

private:
    std::string node_;
    std::uint32_t timeline_;
    std::map<std::string, std::map<std::int32_t, std::int64_t>> ends_;
    const char* last_name_ = nullptr;
    std::map<std::int32_t, std::int64_t>* last_ = nullptr; ///< ends_ of last_name_
};

} // namespace keyshift::cdc
