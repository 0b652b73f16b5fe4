#include "resharder/planner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace keyshift::resharder {

namespace {

struct Unit {
    const GroupFacts* group = nullptr;
    BucketId bucket{};
    std::string holder; ///< by the plan so far

    const BucketFacts& facts() const { return group->buckets.at(bucket); }
    bool moved() const { return holder != facts().owner; }
};

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Units that are balanced together, and who will hold each.
class Ledger {
public:
    Ledger(const ClusterFacts& cluster, const Wish& wish, const std::vector<const GroupFacts*>& groups) : wish_(wish)
    {
        for (const NodeFacts& node : cluster.nodes) {
            capacity_[node.name] = node.capacity;
            const bool named = wish.to.empty() || contains(wish.to, node.name);
            const bool leaves = node.draining || wish.drain == node.name;
            (leaves ? leaving_ : givers_).push_back(node.name);
            if (named && !leaves) {
                recipients_.push_back(node.name);
            }
        }
        for (const GroupFacts* group : groups) {
            for (const auto& [bucket, facts] : group->buckets) {
                units_.push_back({group, bucket, facts.owner});
                held_[units_.back().holder] += value(units_.back());
            }
        }
    }

    std::vector<PlannedMove> plan()
    {
        if (recipients_.empty()) {
            return {};
        }
        if (!wish_.buckets.empty()) {
            move_named();
        } else if (wish_.drain) {
            drain({*wish_.drain});
        } else {
            bring_pinned_home();
            drain(leaving_);
            balance();
        }
        return std::move(moves_);
    }

private:
    double value(const Unit& unit) const
    {
        switch (wish_.by) {
        case Balance::size:
            return static_cast<double>(unit.facts().bytes);
        case Balance::rows:
            return static_cast<double>(unit.facts().rows);
        case Balance::load:
            return unit.facts().writes;
        case Balance::count:
            break;
        }
        return 1;
    }

    double share(const std::string& node) const { return 1 / capacity_.at(node); }
    double fill(const std::string& node) const
    {
        const auto held = held_.find(node);
        return held == held_.end() ? 0 : held->second * share(node);
    }

    const std::string& emptiest(double with = 0) const
    {
        return *std::min_element(recipients_.begin(), recipients_.end(), [&](const auto& a, const auto& b) {
            return std::pair(fill(a) + with * share(a), a) < std::pair(fill(b) + with * share(b), b);
        });
    }

    void move(Unit& unit, const std::string& to, std::string why)
    {
        const BucketFacts& facts = unit.facts();
        held_[unit.holder] -= value(unit);
        held_[to] += value(unit);
        unit.holder = to;
        moves_.push_back(
            {unit.group->name, unit.bucket, facts.owner, to, facts.bytes, facts.rows, facts.writes, std::move(why)});
    }

    void move_named()
    {
        for (const std::uint32_t bucket : wish_.buckets) {
            for (Unit& unit : units_) {
                const bool there = !wish_.to.empty() && contains(recipients_, unit.holder);
                const std::string to = emptiest(value(unit));
                const bool meant = wish_.group.empty() || wish_.group == unit.group->name;
                if (meant && number(unit.bucket) == bucket && !there && to != unit.holder) {
                    move(unit, to, "named by --buckets");
                }
            }
        }
    }

    void bring_pinned_home()
    {
        for (Unit& unit : units_) {
            const std::string& home = unit.facts().pinned;
            if (!home.empty() && home != unit.holder && contains(recipients_, home)) {
                move(unit, home, "pinned to " + home);
            }
        }
    }

    void drain(const std::vector<std::string>& nodes)
    {
        for (Unit& unit : units_) {
            if (contains(nodes, unit.holder)) {
                move(unit, emptiest(value(unit)), "node " + unit.holder + " is drained");
            }
        }
    }

    /// From the fullest node that has something to give to the emptiest, one by one.
    void balance()
    {
        while (balance_once()) {
        }
    }

    bool balance_once()
    {
        const std::string to = emptiest();
        std::vector<std::string> givers = givers_;
        std::sort(givers.begin(), givers.end(),
                  [&](const auto& a, const auto& b) { return std::pair(fill(b), a) < std::pair(fill(a), b); });
        for (const std::string& from : givers) {
            if (fill(from) <= fill(to)) {
                return false;
            }
            if (Unit* unit = wish_.by == Balance::count ? last_of(from, to) : best_of(from, to)) {
                std::string why = reason(*unit, from, to);
                move(*unit, to, std::move(why));
                return true;
            }
        }
        return false;
    }

    /// What planning has moved here never leaves again: a giver gives only what it owns now.
    bool may_leave(const Unit& unit, const std::string& from) const
    {
        return unit.holder == from && !unit.moved() && unit.facts().pinned.empty();
    }

    /// By how much the two come nearer.
    double gain(const Unit& unit, const std::string& from, const std::string& to) const
    {
        const double gap = fill(from) - fill(to);
        return gap - std::abs(gap - value(unit) * (share(from) + share(to)));
    }

    Unit* last_of(const std::string& from, const std::string& to)
    {
        const auto found = std::find_if(units_.rbegin(), units_.rend(), [&](const Unit& unit) {
            return may_leave(unit, from) && gain(unit, from, to) > 0;
        });
        return found == units_.rend() ? nullptr : &*found;
    }

    /// The unit that gains most; by rows and load, of those that gain about as much the one that costs least to copy.
    Unit* best_of(const std::string& from, const std::string& to)
    {
        constexpr double kAboutAsMuch = 0.8;
        if (fill(from) - fill(to) <= wish_.threshold * mean()) {
            return nullptr;
        }
        std::vector<std::pair<double, Unit*>> useful;
        double most = 0;
        for (Unit& unit : units_) {
            const double possible = value(unit) * (share(from) + share(to));
            const double gained = gain(unit, from, to);
            if (may_leave(unit, from) && possible > 0 && gained > 0 && gained >= wish_.improvement * possible) {
                useful.emplace_back(gained, &unit);
                most = std::max(most, gained);
            }
        }
        Unit* best = nullptr;
        for (const auto& [gained, unit] : useful) {
            const bool enough = gained >= (wish_.by == Balance::size ? most : kAboutAsMuch * most);
            if (enough && (best == nullptr || unit->facts().bytes < best->facts().bytes)) {
                best = unit;
            }
        }
        return best;
    }

    double mean() const
    {
        double held = 0;
        double capacity = 0;
        for (const auto& [node, amount] : held_) {
            held += amount;
        }
        for (const std::string& node : givers_) {
            capacity += capacity_.at(node);
        }
        return capacity > 0 ? held / capacity : 0;
    }

    std::string reason(const Unit& unit, const std::string& from, const std::string& to) const
    {
        const auto amount = [&](const std::string& node) {
            const auto held = held_.find(node);
            return held == held_.end() ? 0 : held->second;
        };
        switch (wish_.by) {
        case Balance::size:
            return fmt::format("{} holds {:.0f} bytes, {} holds {:.0f}", from, amount(from), to, amount(to));
        case Balance::rows:
            return fmt::format("{} holds about {:.0f} rows, {} holds {:.0f}", from, amount(from), to, amount(to));
        case Balance::load:
            return fmt::format("{} takes {:.1f} rows/s, {} takes {:.1f}", from, amount(from), to, amount(to));
        case Balance::count:
            break;
        }
        return fmt::format("{} has {:.0f} buckets of {}, {} has {:.0f}", from, amount(from), unit.group->name, to,
                           amount(to));
    }

    const Wish& wish_;
    std::map<std::string, double> capacity_;
    std::vector<std::string> recipients_;
    std::vector<std::string> givers_;  ///< stay in the cluster
    std::vector<std::string> leaving_; ///< drained
    std::vector<Unit> units_;
    std::map<std::string, double> held_;
    std::vector<PlannedMove> moves_;
};

} // namespace

std::vector<PlannedMove> plan_moves(const ClusterFacts& cluster, const Wish& wish)
{
    std::vector<std::vector<const GroupFacts*>> together;
    for (const GroupFacts& group : cluster.groups) {
        if (together.empty() || wish.by == Balance::count) {
            together.emplace_back();
        }
        together.back().push_back(&group);
    }
    std::vector<PlannedMove> moves;
    for (const auto& groups : together) {
        auto planned = Ledger(cluster, wish, groups).plan();
        moves.insert(moves.end(), std::make_move_iterator(planned.begin()), std::make_move_iterator(planned.end()));
    }
    const auto place = [&](const PlannedMove& move) {
        const auto group = std::find_if(cluster.groups.begin(), cluster.groups.end(),
                                        [&](const GroupFacts& one) { return one.name == move.group; });
        return std::pair(group - cluster.groups.begin(), number(move.bucket));
    };
    std::stable_sort(moves.begin(), moves.end(),
                     [&](const PlannedMove& a, const PlannedMove& b) { return place(a) < place(b); });
    return moves;
}

} // namespace keyshift::resharder
