#pragma once
/// Which bucket goes where. Pure: the facts come in, the moves go out.
/// A unit is one bucket of a group: co-located tables, which share it, move together.

#include "core/ids.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::resharder {

struct BucketFacts {
    std::string owner;
    std::int64_t bytes = 0;
    std::int64_t rows = 0;   ///< as the server estimates them
    double writes = 0;       ///< rows written a second
    std::string pinned = {}; ///< to this node; empty: to none
};
struct GroupFacts {
    std::string name;
    std::map<BucketId, BucketFacts> buckets;
};
struct NodeFacts {
    std::string name;
    double capacity = 1;                             ///< its share beside the others'; above 0
    bool draining = false;                           ///< gives all it has, never receives
    std::optional<std::int64_t> disk_limit = {};     ///< bytes that its database may grow to
    std::optional<std::int64_t> database_bytes = {}; ///< read where there is a limit
};
struct ClusterFacts {
    std::vector<NodeFacts> nodes; ///< that may own buckets, in order of name
    std::vector<GroupFacts> groups;
};

enum class Balance { count, size, rows, load };

struct Wish {
    std::vector<std::string> to;        ///< empty: all nodes
    std::vector<std::uint32_t> buckets; ///< empty: any
    std::optional<std::string> drain;
    Balance by = Balance::count;
    /// By size, rows and load: nodes stay as they are while they differ by less than this part of the mean.
    double threshold = 0.1;
    /// By size, rows and load: what a move must gain, as a part of the most that moving so large a bucket could gain.
    double improvement = 0.25;
    std::string group = {}; ///< of the named buckets; empty: of every group that has them
};

struct PlannedMove {
    std::string group;
    BucketId bucket{};
    std::string donor;
    std::string recipient;
    std::int64_t bytes = 0;
    std::int64_t rows = 0;
    double writes = 0;
    std::string why;

    bool operator==(const PlannedMove&) const = default;
};

/// Named buckets go to the named nodes; a drained node's go to the others; pinned ones to their node. Else, by count, each
/// group is balanced by itself, until no move brings two nodes nearer; by size, rows and load all groups together, the fewest
/// moves first. A node's part is as its capacity. The same facts give the same plan.
std::vector<PlannedMove> plan_moves(const ClusterFacts& cluster, const Wish& wish);

} // namespace keyshift::resharder
