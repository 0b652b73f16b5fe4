#pragma once
/// How long moves take. Pure: what past moves took comes in.

#include "resharder/options.hpp"
#include "resharder/planner.hpp"

#include <vector>

namespace keyshift::resharder {

struct PastMove {
    double seconds = 0; ///< from its begin to its switch
    double bytes = 0;   ///< with indexes
};

/// A move costs so much whatever it carries, and so much for each byte.
struct MoveCost {
    double seconds_a_move = 0.3;
    double seconds_a_byte = 1 / 40e6;
    bool measured = false;

    double of(double bytes) const { return seconds_a_move + seconds_a_byte * bytes; }
};

/// From moves of this cluster; a guess while there are none.
MoveCost learn_cost(const std::vector<PastMove>& past);

/// Of the busiest node, or of all moves where their number is what binds.
double seconds_for(const std::vector<PlannedMove>& moves, const MoveCost& cost, const MoveCaps& caps);

} // namespace keyshift::resharder
