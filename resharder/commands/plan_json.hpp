#pragma once
/// A plan as `reshard plan` prints it and a job keeps it.

#include "resharder/commands/move_cost.hpp"
#include "resharder/planner.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace keyshift::resharder {

/// The same exactly as long as the placement and the moves are.
std::string plan_id(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves);

/// {"plan","moves":[...],"bytes","seconds","seconds_measured","nodes":[...]}; a node has {"node","state","capacity","buckets",
/// "buckets_after","bytes","bytes_after","arriving_bytes","writes_per_second","writes_per_second_after","database_bytes",
/// "disk_limit","disk_short"}: the last three are null where no limit is set.
nlohmann::json plan_json(const ClusterFacts& cluster, const std::vector<PlannedMove>& moves, const MoveCost& cost,
                         const MoveCaps& caps);

/// Throws RefusedError where a node would get more than its disk limit holds.
void refuse_short_disk(const std::string& what, const nlohmann::json& planned);

} // namespace keyshift::resharder
