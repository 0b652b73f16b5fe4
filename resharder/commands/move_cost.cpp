#include "resharder/commands/move_cost.hpp"

#include <algorithm>
#include <map>
#include <string>

namespace keyshift::resharder {

MoveCost learn_cost(const std::vector<PastMove>& past)
{
    MoveCost cost;
    if (past.empty()) {
        return cost;
    }
    // The quickest says what a move costs at least; what the others took beyond that, their bytes did.
    const auto quickest = std::min_element(past.begin(), past.end(),
                                           [](const PastMove& a, const PastMove& b) { return a.seconds < b.seconds; });
    double beyond = 0;
    double bytes = 0;
    for (const PastMove& move : past) {
        beyond += move.seconds - quickest->seconds;
        bytes += move.bytes;
    }
    cost.measured = true;
    cost.seconds_a_move = quickest->seconds;
    cost.seconds_a_byte = bytes > 0 ? beyond / bytes : 0;
    if (beyond == 0 && bytes > 0) {
        // All alike: more than one of them would take, a larger one does.
        cost.seconds_a_byte = quickest->seconds / (bytes / static_cast<double>(past.size()));
        cost.seconds_a_move = 0;
    }
    return cost;
}

double seconds_for(const std::vector<PlannedMove>& moves, const MoveCost& cost, const MoveCaps& caps)
{
    std::map<std::string, double> busy;
    double longest = 0;
    double all = 0;
    for (const PlannedMove& move : moves) {
        const double seconds = cost.of(static_cast<double>(move.bytes));
        busy[move.donor] += seconds;
        busy[move.recipient] += seconds;
        longest = std::max(longest, seconds);
        all += seconds;
    }
    for (const auto& [node, seconds] : busy) {
        longest = std::max(longest, seconds / std::max(1, caps.per_node));
    }
    return caps.in_all > 0 ? std::max(longest, all / caps.in_all) : longest;
}

} // namespace keyshift::resharder
