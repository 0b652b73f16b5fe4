#pragma once
/// What a move is at, for people. Pure.

#include "resharder/move_state.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace keyshift::resharder {

struct MoveProgress {
    MoveState state = MoveState::planned;
    std::int64_t rows = 0;
    std::int64_t planned_rows = 0; ///< an estimate; 0: not known
    double rows_per_second = 0;
    std::int64_t lag_bytes = 0;
    int fence_tries = 0;
    bool donor_current = false; ///< settling, with a copy that is kept current
    bool waits = false;         ///< for something that it names
};

/// "copying rows, 45 %"
std::string phase(const MoveProgress& move);

/// Of the present step; nullopt where it cannot be told.
std::optional<double> seconds_left(const MoveProgress& move);

} // namespace keyshift::resharder
