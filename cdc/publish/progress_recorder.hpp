#pragma once
/// Knows the end offset per data partition from the delivery reports and makes the progress records of a node.
/// Called by the delivery thread only.

#include "core/change_event.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace keyshift::cdc {

class ProgressRecorder {
public:
    ProgressRecorder(std::string node, std::uint32_t timeline) : node_(std::move(node)), timeline_(timeline) {}

    /// True: the first of this partition.
    bool delivered(const std::string& topic, std::int32_t partition, std::int64_t offset)
    {
        const auto [end, first] = ends_[topic].try_emplace(partition, 0);
        end->second = std::max(end->second, offset + 1);
        return first;
    }
    ProgressRecord record(Lsn lsn) const { return {node_, timeline_, lsn, ends_}; }

private:
    std::string node_;
    std::uint32_t timeline_;
    std::map<std::string, std::map<std::int32_t, std::int64_t>> ends_;
};

} // namespace keyshift::cdc
