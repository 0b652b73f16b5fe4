#pragma once
/// The states of one bucket group changing node, and the steps between them. What holds in each:
/// docs/invariants.md.
///
///   planned -> copying -> indexing -> catching_up -> attached -> fenced -> switched -> settling -> done
///      |          |  ^        |            |            |
///      |          |  +--------+------------+------------+   begin again with a new copy
///      +----------+-----------+------------+------------+-> aborting -> aborted
///
/// planned -> attached where the recipient still has the bucket from before, kept current since.
///
/// From `fenced` on the move only goes forward (INV-MOV-2).

#include <array>
#include <optional>
#include <string_view>

namespace keyshift::resharder {

enum class MoveState {
    planned,     ///< nothing of the move exists on any node
    copying,     ///< staging tables on the recipient are being filled from one snapshot of the donor
    indexing,    ///< every row of the snapshot is there; keys, indexes and the bucket's CHECK are being built
    catching_up, ///< the donor's stream is being applied
    attached,    ///< the copy is the recipient's leaf, behind the reject trigger; apply goes on
    fenced,      ///< the donor durably refuses writes; the recipient has all of them, and Kafka all their events
    switched,    ///< the recipient is open, the catalog names it
    settling,    ///< the donor keeps the frozen leaf for the grace period, and keeps it current
    done,
    aborting, ///< what the move made is being removed
    aborted,
};

struct LegalStep {
    MoveState from;
    MoveState to;
};

inline constexpr std::array kLegalSteps{
    LegalStep{MoveState::planned, MoveState::copying},      LegalStep{MoveState::copying, MoveState::indexing},
    LegalStep{MoveState::indexing, MoveState::catching_up}, LegalStep{MoveState::catching_up, MoveState::attached},
    LegalStep{MoveState::attached, MoveState::fenced},      LegalStep{MoveState::fenced, MoveState::switched},
    LegalStep{MoveState::switched, MoveState::settling},    LegalStep{MoveState::settling, MoveState::done},
    LegalStep{MoveState::indexing, MoveState::copying},     LegalStep{MoveState::catching_up, MoveState::copying},
    LegalStep{MoveState::attached, MoveState::copying},     LegalStep{MoveState::planned, MoveState::aborting},
    LegalStep{MoveState::copying, MoveState::aborting},     LegalStep{MoveState::indexing, MoveState::aborting},
    LegalStep{MoveState::catching_up, MoveState::aborting}, LegalStep{MoveState::attached, MoveState::aborting},
    LegalStep{MoveState::aborting, MoveState::aborted},     LegalStep{MoveState::planned, MoveState::attached},
};

constexpr bool is_legal(MoveState from, MoveState to)
{
    for (const LegalStep& step : kLegalSteps) {
        if (step.from == from && step.to == to) {
            return true;
        }
    }
    return false;
}

/// Nothing follows.
constexpr bool is_last(MoveState state)
{
    for (const LegalStep& step : kLegalSteps) {
        if (step.from == state) {
            return false;
        }
    }
    return true;
}

/// The donor still owns the bucket and the move can be taken back.
constexpr bool before_fence(MoveState state)
{
    return is_legal(state, MoveState::aborting);
}

inline constexpr std::array<std::string_view, 11> kMoveStateNames{
    "planned",  "copying",  "indexing", "catching_up", "attached", "fenced",
    "switched", "settling", "done",     "aborting",    "aborted",
};

/// As keyshift.move.state spells it.
constexpr std::string_view name(MoveState state)
{
    return kMoveStateNames[static_cast<std::size_t>(state)];
}

constexpr std::optional<MoveState> parse_move_state(std::string_view text)
{
    for (std::size_t i = 0; i < kMoveStateNames.size(); ++i) {
        if (kMoveStateNames[i] == text) {
            return static_cast<MoveState>(i);
        }
    }
    return std::nullopt;
}

} // namespace keyshift::resharder
