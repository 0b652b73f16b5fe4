#include "catalog/catalog.hpp"
#include "core/json.hpp"
#include "resharder/commands/facts.hpp"
#include "resharder/commands/plan_json.hpp"
#include "resharder/resharder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace keyshift::resharder {

namespace {

const NodeFacts& check_node(const ClusterFacts& cluster, const std::string& name)
{
    std::string known;
    for (const NodeFacts& node : cluster.nodes) {
        if (node.name == name) {
            return node;
        }
        known += (known.empty() ? "" : ", ") + node.name;
    }
    throw RefusedError({"planning moves", "there is no active node " + name, "the nodes are: " + known});
}

void check_recipients(const ClusterFacts& cluster, const PlanWish& wish)
{
    for (const std::string& name : wish.to) {
        if (check_node(cluster, name).draining) {
            throw RefusedError({"planning moves to node " + name, "it is being drained and takes no buckets",
                                "name another one, or take it in again: `keyshift node drain " + name + " --undo`"});
        }
    }
    if (wish.drain) {
        check_node(cluster, *wish.drain);
    }
    const bool any = std::any_of(cluster.nodes.begin(), cluster.nodes.end(),
                                 [&](const NodeFacts& node) { return !node.draining && wish.drain != node.name; });
    if (!any) {
        throw RefusedError({wish.drain ? "draining node " + *wish.drain : "planning moves",
                            "no other node could take its buckets",
                            "add one: `keyshift node add`, or take one in again: `keyshift node drain NAME --undo`"});
    }
}

/// A bucket that is pinned leaves its node for nobody.
void check_pins(const ClusterFacts& cluster, const PlanWish& wish)
{
    for (const GroupFacts& group : cluster.groups) {
        for (const auto& [bucket, facts] : group.buckets) {
            const std::string& home = facts.pinned;
            const bool named =
                (wish.group.empty() || wish.group == group.name) &&
                std::find(wish.buckets.begin(), wish.buckets.end(), number(bucket)) != wish.buckets.end();
            const bool elsewhere = !wish.to.empty() && std::find(wish.to.begin(), wish.to.end(), home) == wish.to.end();
            if (!home.empty() && (wish.drain == home || (named && elsewhere))) {
                throw RefusedError(
                    {wish.drain ? "draining node " + home : "planning moves",
                     fmt::format("bucket {} of {} is pinned to node {}", number(bucket), group.name, home),
                     fmt::format("unpin it: `keyshift node set {} --unpin {}/{}`", home, group.name, number(bucket))});
            }
        }
    }
}

Wish checked(const ClusterFacts& cluster, const PlanWish& wish)
{
    static const std::map<std::string, Balance> kBalances{
        {"count", Balance::count}, {"size", Balance::size}, {"rows", Balance::rows}, {"load", Balance::load}};
    const auto by = kBalances.find(wish.by);
    if (by == kBalances.end()) {
        throw Error(ErrorKind::usage, {"planning moves", "--by takes count, size, rows or load, not " + wish.by,
                                       "leave it out for count"});
    }
    check_pins(cluster, wish);
    check_recipients(cluster, wish);
    const bool any = std::any_of(cluster.groups.begin(), cluster.groups.end(), [&](const GroupFacts& group) {
        return (wish.group.empty() || wish.group == group.name) &&
               std::all_of(wish.buckets.begin(), wish.buckets.end(),
                           [&](std::uint32_t bucket) { return group.buckets.contains(BucketId{bucket}); });
    });
    if (!any && !wish.buckets.empty()) {
        throw RefusedError({"planning moves", "no group has all of the buckets that --buckets names",
                            "`keyshift table show` lists the buckets of a table"});
    }
    Wish planned;
    planned.to = wish.to;
    planned.buckets = wish.buckets;
    planned.group = wish.group;
    planned.drain = wish.drain;
    planned.by = by->second;
    planned.threshold = wish.threshold;
    planned.improvement = wish.improvement;
    return planned;
}

} // namespace

nlohmann::json plan(pg::Connection& catalog, const PlanWish& wish)
{
    catalog::check_version(catalog);
    const ClusterFacts cluster = read_cluster(catalog, wish.by == "load" ? wish.sample : std::chrono::milliseconds(0));
    return plan_json(cluster, plan_moves(cluster, checked(cluster, wish)), read_cost(catalog), wish.caps);
}

} // namespace keyshift::resharder
