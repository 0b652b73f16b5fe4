#pragma once
/// The order in which moves of one daemon switch: of each group one bucket at a time, since a switch rewrites what a node
/// knows of the whole group and two of them would only run into each other's locks, with writers waiting. Any thread.

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace keyshift::resharder {

class SwitchTurns {
public:
    /// Held from before the first lock of a fence until the recipient is open, or the fence has backed out.
    class Turn {
    public:
        Turn(SwitchTurns& turns, std::string group) : turns_(&turns), group_(std::move(group)) {}
        Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), group_(std::move(other.group_)) {}
        Turn& operator=(Turn&&) = delete;
        ~Turn();

    private:
        SwitchTurns* turns_;
        std::string group_;
    };

    /// nullopt: another bucket of the group has it.
    std::optional<Turn> try_take(const std::string& group);

private:
    std::mutex mutex_;
    std::set<std::string> taken_; ///< groups; guarded by mutex_
};

} // namespace keyshift::resharder
