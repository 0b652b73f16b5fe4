#pragma once
/// A plan as `reshard plan` prints it and a job keeps it.

#include "resharder/planner.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace keyshift::resharder {

/// The same exactly as long as the placement and the moves are.
std::string plan_id(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves);

/// {"plan","moves":[...],"bytes","seconds","nodes":[...]}
nlohmann::json plan_json(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves);

} // namespace keyshift::resharder
