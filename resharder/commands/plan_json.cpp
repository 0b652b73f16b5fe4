#include "resharder/commands/plan_json.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

template <typename Value>
nlohmann::json or_null(const std::optional<Value>& value)
{
    return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json node_json(const ClusterFacts& cluster, const NodeFacts& node, const std::vector<PlannedMove>& moves)
{
    std::int64_t buckets = 0;
    std::int64_t bytes = 0;
    std::int64_t rows = 0;
    double writes = 0;
    for (const GroupFacts& group : cluster.groups) {
        for (const auto& [number, bucket] : group.buckets) {
            const bool here = bucket.owner == node.name;
            buckets += here ? 1 : 0;
            bytes += here ? bucket.bytes : 0;
            rows += here ? bucket.rows : 0;
            writes += here ? bucket.writes : 0;
        }
    }
    std::int64_t buckets_after = buckets;
    std::int64_t bytes_after = bytes;
    std::int64_t arriving = 0;
    std::int64_t rows_after = rows;
    double writes_after = writes;
    for (const PlannedMove& move : moves) {
        const int sign = (move.recipient == node.name ? 1 : 0) - (move.donor == node.name ? 1 : 0);
        buckets_after += sign;
        bytes_after += sign * move.bytes;
        rows_after += sign * move.rows;
        writes_after += sign * move.writes;
        arriving += move.recipient == node.name ? move.bytes : 0;
    }
    std::optional<bool> too_little;
    if (node.disk_limit && node.database_bytes) {
        too_little = arriving > 0 && *node.database_bytes + arriving > *node.disk_limit;
    }
    return {{"node", node.name},
            {"state", node.draining ? "draining" : "active"},
            {"capacity", node.capacity},
            {"buckets", buckets},
            {"buckets_after", buckets_after},
            {"bytes", bytes},
            {"bytes_after", bytes_after},
            {"arriving_bytes", arriving},
            {"rows", rows},
            {"rows_after", rows_after},
            {"writes_per_second", writes},
            {"writes_per_second_after", writes_after},
            {"database_bytes", or_null(node.database_bytes)},
            {"disk_limit", or_null(node.disk_limit)},
            {"disk_short", or_null(too_little)}};
}

} // namespace

std::string plan_id(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves)
{
    std::uint64_t hash = 14695981039346656037U; // FNV-1a
    const auto add = [&](std::string_view text) {
        for (const char c : text) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
        }
        hash = (hash ^ 0xffU) * 1099511628211U;
    };
    for (const GroupFacts& group : cluster.groups) {
        add(group.name);
        for (const auto& [number, bucket] : group.buckets) {
            add(bucket.owner);
        }
    }
    for (const PlannedMove& move : moves) {
        add(fmt::format("{}/{}/{}/{}", move.group, number(move.bucket), move.donor, move.recipient));
    }
    return fmt::format("{:016x}", hash);
}

nlohmann::json plan_json(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves, const MoveCost& cost,
                         const MoveCaps& caps)
{
    nlohmann::json list = nlohmann::json::array();
    std::int64_t bytes = 0;
    for (const PlannedMove& move : moves) {
        bytes += move.bytes;
        list.push_back({{"group", move.group},
                        {"bucket", number(move.bucket)},
                        {"donor", move.donor},
                        {"recipient", move.recipient},
                        {"bytes", move.bytes},
                        {"rows", move.rows},
                        {"writes_per_second", move.writes},
                        {"why", move.why}});
    }
    nlohmann::json nodes = nlohmann::json::array();
    for (const NodeFacts& node : cluster.nodes) {
        nodes.push_back(node_json(cluster, node, moves));
    }
    return {
        {"plan", plan_id(cluster, moves)},           {"moves", std::move(list)},          {"bytes", bytes},
        {"seconds", seconds_for(moves, cost, caps)}, {"seconds_measured", cost.measured}, {"nodes", std::move(nodes)}};
}

void refuse_short_disk(const std::string& what, const nlohmann::json& planned)
{
    for (const auto& node : planned.at("nodes")) {
        if (node.at("disk_short") == true) {
            const std::string name = node.at("node");
            throw RefusedError(
                {what,
                 fmt::format("node {} has {} bytes and would get {} more; its disk limit is {}", name,
                             node.at("database_bytes").dump(), node.at("arriving_bytes").dump(),
                             node.at("disk_limit").dump()),
                 fmt::format("Plan for other nodes with --to, or raise it: `keyshift node set {} --disk-limit ...`.",
                             name)});
        }
    }
}

} // namespace keyshift::resharder
