#pragma once
/// What the parts of the switch protocol's model share: one state, and what may follow it.

#include "tests/resharder/switch_model.hpp"
#include "tests/resharder/switch_streams.hpp"

#include <functional>
#include <vector>

namespace keyshift::test {

constexpr std::uint8_t kOpen = static_cast<std::uint8_t>(resharder::LocalBucket::State::open);
constexpr std::uint8_t kFenced = static_cast<std::uint8_t>(resharder::LocalBucket::State::fenced);
constexpr std::uint8_t kClosed = static_cast<std::uint8_t>(resharder::LocalBucket::State::closed);

constexpr std::uint8_t kGone = 255; ///< State::follower: there is none

constexpr std::uint8_t raw(resharder::MoveState state)
{
    return static_cast<std::uint8_t>(state);
}

inline bool ended(const State& state)
{
    return resharder::is_last(static_cast<resharder::MoveState>(state.journal));
}

class Next {
public:
    using Change = std::function<void(State&)>;

    Next(const State& now_, const Rules& rules_) : now(now_), rules(rules_) {}
    /// One more state that may follow, with the properties looked at.
    void add(const char* what, bool fault, const Change& change);

    const State& now;
    const Rules& rules;
    std::vector<Successor> found;
};

bool fence_landed(const State& state, const Rules& rules);
/// A write of the donor comes to the recipient's copy.
void apply_write(State& state, std::uint8_t id);
/// Of what the fence waits for, the barrier seen at `seen`. A stream may be asked while that is still on its way to it.
bool recorded_enough(const State& state, const Rules& rules, std::uint8_t seen);
/// The daemon's step in the catalog's transaction; false: refused.
bool step_in_journal(State& state, const Rules& rules, Daemon& daemon, resharder::MoveState to);
/// The open's transaction commits.
void open_recipient(State& state);
/// What daemon `k` may do: an attempt at the move, as resharder/move_runner.cpp and its steps go about it.
void daemon_steps(Next& next, std::size_t k);

} // namespace keyshift::test
