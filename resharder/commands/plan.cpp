#include "catalog/catalog.hpp"
#include "resharder/commands/facts.hpp"
#include "resharder/resharder.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace keyshift::resharder {

namespace {

constexpr double kSecondsAMove = 0.3;
constexpr double kBytesASecond = 40e6;

std::string joined(const std::vector<std::string>& names)
{
    return fmt::format("{}", fmt::join(names, ", "));
}

void check_node(const ClusterFacts& cluster, const std::string& node)
{
    if (std::find(cluster.nodes.begin(), cluster.nodes.end(), node) == cluster.nodes.end()) {
        throw RefusedError(
            {"planning moves", "there is no active node " + node, "the nodes are: " + joined(cluster.nodes)});
    }
}

Wish checked(const ClusterFacts& cluster, const PlanWish& wish)
{
    if (wish.by != "count" && wish.by != "size") {
        throw Error(ErrorKind::usage,
                    {"planning moves", "--by takes count or size, not " + wish.by, "leave it out for count"});
    }
    for (const std::string& node : wish.to) {
        check_node(cluster, node);
    }
    if (wish.drain) {
        check_node(cluster, *wish.drain);
        if (cluster.nodes.size() < 2) {
            throw RefusedError({"draining node " + *wish.drain, "it is the only node", "add one: `keyshift node add`"});
        }
    }
    const bool any = std::any_of(cluster.groups.begin(), cluster.groups.end(), [&](const GroupFacts& group) {
        return std::all_of(wish.buckets.begin(), wish.buckets.end(),
                           [&](std::uint32_t bucket) { return bucket < group.buckets.size(); });
    });
    if (!any && !wish.buckets.empty()) {
        throw RefusedError({"planning moves", "no group has all of the buckets that --buckets names",
                            "buckets are numbered from 0; see `keyshift table list`"});
    }
    return {wish.to, wish.buckets, wish.drain, wish.by == "size" ? Balance::size : Balance::count};
}

/// FNV-1a over what would move: the same exactly as long as placement and wish are.
std::string plan_id(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves)
{
    std::uint64_t hash = 14695981039346656037U;
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

nlohmann::json node_summary(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves)
{
    nlohmann::json nodes = nlohmann::json::array();
    for (const std::string& node : cluster.nodes) {
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

nlohmann::json plan(pg::Connection& catalog, const PlanWish& wish)
{
    catalog::check_version(catalog);
    const ClusterFacts cluster = read_cluster(catalog);
    const auto moves = plan_moves(cluster, checked(cluster, wish));
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
