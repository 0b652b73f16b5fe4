#include "resharder/planner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace keyshift::resharder {

namespace {

/// One group being planned: who will own each bucket.
class GroupPlan {
public:
    GroupPlan(const GroupFacts& group, const std::vector<std::string>& recipients) : group_(group)
    {
        for (const std::string& node : recipients) {
            held_[node];
        }
        for (std::size_t bucket = 0; bucket < group.buckets.size(); ++bucket) {
            held_[group.buckets[bucket].owner].push_back(bucket);
        }
    }

    std::int64_t count(const std::string& node) const { return static_cast<std::int64_t>(held_.at(node).size()); }

    std::int64_t bytes(const std::string& node) const
    {
        std::int64_t sum = 0;
        for (const std::size_t bucket : held_.at(node)) {
            sum += group_.buckets[bucket].bytes;
        }
        return sum;
    }

    const std::vector<std::size_t>& held(const std::string& node) const { return held_.at(node); }
    const GroupFacts& facts() const { return group_; }

    void move(std::size_t bucket, const std::string& to, std::string why)
    {
        const BucketFacts& facts = group_.buckets[bucket];
        auto& from = held_.at(facts.owner);
        from.erase(std::find(from.begin(), from.end(), bucket));
        held_[to].push_back(bucket);
        moves_.push_back(
            {group_.name, static_cast<BucketId>(bucket), facts.owner, to, facts.bytes, facts.rows, std::move(why)});
    }

    std::vector<PlannedMove> take_moves()
    {
        std::sort(moves_.begin(), moves_.end(),
                  [](const PlannedMove& a, const PlannedMove& b) { return a.bucket < b.bucket; });
        return std::move(moves_);
    }

private:
    const GroupFacts& group_;
    std::map<std::string, std::vector<std::size_t>> held_;
    std::vector<PlannedMove> moves_;
};

std::vector<std::string> recipients_of(const ClusterFacts& cluster, const Wish& wish)
{
    std::vector<std::string> recipients;
    for (const std::string& node : cluster.nodes) {
        const bool named = wish.to.empty() || std::find(wish.to.begin(), wish.to.end(), node) != wish.to.end();
        if (named && wish.drain != node) {
            recipients.push_back(node);
        }
    }
    return recipients;
}

std::string least_loaded(const GroupPlan& plan, const std::vector<std::string>& recipients, Balance by)
{
    return *std::min_element(recipients.begin(), recipients.end(), [&](const std::string& a, const std::string& b) {
        return by == Balance::size ? std::pair(plan.bytes(a), a) < std::pair(plan.bytes(b), b)
                                   : std::pair(plan.count(a), a) < std::pair(plan.count(b), b);
    });
}

void move_named(GroupPlan& plan, const Wish& wish, const std::vector<std::string>& recipients)
{
    for (const std::uint32_t bucket : wish.buckets) {
        if (bucket >= plan.facts().buckets.size()) {
            continue;
        }
        const std::string& owner = plan.facts().buckets[bucket].owner;
        const bool there =
            !wish.to.empty() && std::find(recipients.begin(), recipients.end(), owner) != recipients.end();
        const std::string to = least_loaded(plan, recipients, wish.by);
        if (!there && to != owner) {
            plan.move(bucket, to, "named by --buckets");
        }
    }
}

void drain(GroupPlan& plan, const Wish& wish, const std::vector<std::string>& recipients)
{
    std::vector<std::size_t> leaving;
    for (std::size_t bucket = 0; bucket < plan.facts().buckets.size(); ++bucket) {
        if (plan.facts().buckets[bucket].owner == *wish.drain) {
            leaving.push_back(bucket);
        }
    }
    for (const std::size_t bucket : leaving) {
        plan.move(bucket, least_loaded(plan, recipients, wish.by), "node " + *wish.drain + " is drained");
    }
}

/// The node with most to give to the one with least, bucket by bucket, until they differ by at most one.
void balance_by_count(GroupPlan& plan, const std::vector<std::string>& nodes,
                      const std::vector<std::string>& recipients)
{
    while (true) {
        const std::string to = least_loaded(plan, recipients, Balance::count);
        const std::string from =
            *std::max_element(nodes.begin(), nodes.end(), [&](const std::string& a, const std::string& b) {
                return std::pair(plan.count(a), b) < std::pair(plan.count(b), a);
            });
        if (plan.count(from) - plan.count(to) <= 1) {
            return;
        }
        // A bucket that arrived by this plan never leaves again: givers only give what they own now.
        const auto& held = plan.held(from);
        const auto owned = std::find_if(held.rbegin(), held.rend(),
                                        [&](std::size_t bucket) { return plan.facts().buckets[bucket].owner == from; });
        plan.move(*owned, to,
                  fmt::format("{} has {} buckets of {}, {} has {}", from, plan.count(from), plan.facts().name, to,
                              plan.count(to)));
    }
}

/// The largest bucket that still brings the two closer.
std::optional<std::size_t> best_by_size(const GroupPlan& plan, const std::string& from, std::int64_t gap)
{
    std::optional<std::size_t> best;
    for (const std::size_t bucket : plan.held(from)) {
        const BucketFacts& facts = plan.facts().buckets[bucket];
        if (facts.owner == from && facts.bytes > 0 && facts.bytes < gap &&
            (!best || std::abs(gap - 2 * facts.bytes) < std::abs(gap - 2 * plan.facts().buckets[*best].bytes))) {
            best = bucket;
        }
    }
    return best;
}

void balance_by_size(GroupPlan& plan, const std::vector<std::string>& nodes, const std::vector<std::string>& recipients)
{
    while (true) {
        const std::string to = least_loaded(plan, recipients, Balance::size);
        const std::string from =
            *std::max_element(nodes.begin(), nodes.end(), [&](const std::string& a, const std::string& b) {
                return std::pair(plan.bytes(a), b) < std::pair(plan.bytes(b), a);
            });
        const std::int64_t gap = plan.bytes(from) - plan.bytes(to);
        const auto bucket = best_by_size(plan, from, gap);
        if (!bucket) {
            return;
        }
        plan.move(*bucket, to,
                  fmt::format("{} holds {} bytes of {}, {} holds {}", from, plan.bytes(from), plan.facts().name, to,
                              plan.bytes(to)));
    }
}

} // namespace

std::vector<PlannedMove> plan_moves(const ClusterFacts& cluster, const Wish& wish)
{
    std::vector<PlannedMove> moves;
    const auto recipients = recipients_of(cluster, wish);
    if (recipients.empty()) {
        return moves;
    }
    std::vector<std::string> all = cluster.nodes;
    for (const GroupFacts& group : cluster.groups) {
        GroupPlan plan(group, all);
        if (!wish.buckets.empty()) {
            move_named(plan, wish, recipients);
        } else if (wish.drain) {
            drain(plan, wish, recipients);
        } else if (wish.by == Balance::size) {
            balance_by_size(plan, all, recipients);
        } else {
            balance_by_count(plan, all, recipients);
        }
        auto planned = plan.take_moves();
        moves.insert(moves.end(), std::make_move_iterator(planned.begin()), std::make_move_iterator(planned.end()));
    }
    return moves;
}

} // namespace keyshift::resharder
