#pragma once
/// Which bucket goes where. Pure: the facts come in, the moves go out.
/// Each group is balanced by itself, so co-located tables, which share a bucket, move together.

#include "core/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::resharder {

struct BucketFacts {
    std::string owner;
    std::int64_t bytes = 0;
    std::int64_t rows = 0;
};
struct GroupFacts {
    std::string name;
    std::vector<BucketFacts> buckets; ///< index = bucket
};
struct ClusterFacts {
    std::vector<std::string> nodes; ///< that may own buckets, in order of name
    std::vector<GroupFacts> groups;
};

enum class Balance { count, size };

struct Wish {
    std::vector<std::string> to;        ///< empty: all nodes
    std::vector<std::uint32_t> buckets; ///< empty: any
    std::optional<std::string> drain;
    Balance by = Balance::count;
};

struct PlannedMove {
    std::string group;
    BucketId bucket{};
    std::string donor;
    std::string recipient;
    std::int64_t bytes = 0;
    std::int64_t rows = 0;
    std::string why;

    bool operator==(const PlannedMove&) const = default;
};

/// Named buckets go to the named nodes; a drained node's go to the others; else the fewest moves after which no two nodes
/// differ by more than one bucket a group (count), or no single move would bring the largest node nearer to the
/// mean (size). The same facts give the same plan.
std::vector<PlannedMove> plan_moves(const ClusterFacts& cluster, const Wish& wish);

} // namespace keyshift::resharder
