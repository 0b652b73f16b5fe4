#include "tests/resharder/switch_search.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

namespace keyshift::test {

namespace {

static_assert(std::has_unique_object_representations_v<State>, "states are hashed byte by byte");

std::uint64_t hash_of(const State& state)
{
    std::uint64_t hash = 14695981039346656037ULL;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&state);
    for (std::size_t at = 0; at + 8 <= sizeof(State); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + at, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
        hash ^= hash >> 29U;
    }
    for (std::size_t at = sizeof(State) / 8 * 8; at < sizeof(State); ++at) {
        hash = (hash ^ bytes[at]) * 1099511628211ULL;
    }
    return hash ^ (hash >> 32U);
}

/// Each state once, numbered in the order in which it was found.
class States {
public:
    /// Its number, and whether it is new.
    std::pair<std::uint32_t, bool> add(const State& state)
    {
        if (all_.size() * 2 >= slots_.size()) {
            grow();
        }
        const std::size_t slot = place(state);
        if (slots_[slot] != 0) {
            return {slots_[slot] - 1, false};
        }
        all_.push_back(state);
        slots_[slot] = static_cast<std::uint32_t>(all_.size());
        return {static_cast<std::uint32_t>(all_.size() - 1), true};
    }
    const State& operator[](std::size_t at) const { return all_[at]; }
    std::size_t size() const { return all_.size(); }

private:
    std::size_t place(const State& state) const
    {
        std::size_t slot = hash_of(state) & (slots_.size() - 1);
        while (slots_[slot] != 0 && !(all_[slots_[slot] - 1] == state)) {
            slot = (slot + 1) & (slots_.size() - 1);
        }
        return slot;
    }
    void grow()
    {
        slots_.assign(slots_.size() * 4, 0);
        for (std::size_t at = 0; at < all_.size(); ++at) {
            slots_[place(all_[at])] = static_cast<std::uint32_t>(at + 1);
        }
    }

    std::vector<State> all_;
    std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1U << 16U);
};

class Search {
public:
    Search(const Rules& rules, std::size_t most_states) : rules_(rules), most_states_(most_states) {}

    SearchResult run(const Scope& scope)
    {
        states_.add(first_state(scope));
        came_.push_back({0, ""});
        for (std::uint32_t at = 0; at < states_.size() && result_.violation == Violation::none; ++at) {
            if (states_.size() > most_states_) {
                result_.complete = false;
                break;
            }
            expand(at);
        }
        result_.states = states_.size();
        if (result_.violation == Violation::none && result_.complete) {
            find_stuck();
        }
        return std::move(result_);
    }

private:
    struct Came {
        std::uint32_t from;
        const char* by;
    };

    void expand(std::uint32_t at)
    {
        const State now = states_[at];
        for (const Successor& next : successors(now, rules_)) {
            ++result_.transitions;
            const auto [number, fresh] = states_.add(next.state);
            if (fresh) {
                came_.push_back({at, next.what});
            }
            if (!next.fault) {
                edges_.emplace_back(number, at);
            }
            if (next.state.violation != Violation::none) {
                report(next.state.violation, number);
                return;
            }
        }
    }

    /// INV-MOV-2: from everywhere, without further faults, there is a way to rest. Backwards from rest.
    void find_stuck()
    {
        std::sort(edges_.begin(), edges_.end());
        std::vector<bool> reaches(states_.size());
        std::vector<std::uint32_t> next;
        for (std::uint32_t at = 0; at < states_.size(); ++at) {
            if (at_rest(states_[at]) || states_[at].fallen_back != 0) {
                reaches[at] = true;
                next.push_back(at);
            }
        }
        while (!next.empty()) {
            const std::uint32_t to = next.back();
            next.pop_back();
            for (auto edge = std::lower_bound(edges_.begin(), edges_.end(), std::pair(to, 0U));
                 edge != edges_.end() && edge->first == to; ++edge) {
                if (!reaches[edge->second]) {
                    reaches[edge->second] = true;
                    next.push_back(edge->second);
                }
            }
        }
        const auto stuck = std::find(reaches.begin(), reaches.end(), false);
        if (stuck != reaches.end()) {
            report(Violation::stuck, static_cast<std::uint32_t>(stuck - reaches.begin()));
        }
    }

    void report(Violation violation, std::uint32_t at)
    {
        result_.violation = violation;
        std::vector<const char*> way;
        for (; at != 0; at = came_[at].from) {
            way.push_back(came_[at].by);
        }
        for (auto step = way.rbegin(); step != way.rend(); ++step) {
            result_.way += std::string(*step) + "\n";
        }
    }

    const Rules& rules_;
    std::size_t most_states_;
    States states_;
    std::vector<Came> came_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> edges_; ///< to, from; without faults
    SearchResult result_;
};

} // namespace

SearchResult search(const Scope& scope, const Rules& rules, std::size_t most_states)
{
    return Search(rules, most_states).run(scope);
}

} // namespace keyshift::test
