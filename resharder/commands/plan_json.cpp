#include "resharder/commands/plan_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace keyshift::resharder {

namespace {

constexpr double kSecondsAMove = 0.3;
constexpr double kBytesASecond = 40e6;

nlohmann::json node_summary(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves)
{
    nlohmann::json nodes = nlohmann::json::array();
    for (const NodeFacts& one : cluster.nodes) {
        const std::string& node = one.name;
        std::int64_t now = 0;
        std::int64_t bytes_now = 0;
        for (const GroupFacts& group : cluster.groups) {
            for (const BucketFacts& bucket : group.buckets) {
                now += bucket.owner == node ? 1 : 0;
                bytes_now += bucket.owner == node ? bucket.bytes : 0;
            }
        }
        std::int64_t after = now;
        std::int64_t bytes_after = bytes_now;
        for (const PlannedMove& move : moves) {
            const int sign = (move.recipient == node ? 1 : 0) - (move.donor == node ? 1 : 0);
            after += sign;
            bytes_after += sign * move.bytes;
        }
        nodes.push_back({{"node", node},
                         {"buckets", now},
                         {"buckets_after", after},
                         {"bytes", bytes_now},
                         {"bytes_after", bytes_after}});
    }
    return nodes;
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
        for (const BucketFacts& bucket : group.buckets) {
            add(bucket.owner);
        }
    }
    for (const PlannedMove& move : moves) {
        add(fmt::format("{}/{}/{}/{}", move.group, number(move.bucket), move.donor, move.recipient));
    }
    return fmt::format("{:016x}", hash);
}

nlohmann::json plan_json(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves)
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
                        {"why", move.why}});
    }
    const double seconds =
        static_cast<double>(moves.size()) * kSecondsAMove + static_cast<double>(bytes) / kBytesASecond;
    return {{"plan", plan_id(cluster, moves)},
            {"moves", std::move(list)},
            {"bytes", bytes},
            {"seconds", seconds},
            {"nodes", node_summary(cluster, moves)}};
}

} // namespace keyshift::resharder
