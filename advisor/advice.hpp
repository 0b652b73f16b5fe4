#pragma once
/// Everything that is advised, from what was read. Pure: the same facts give the same advice.

#include "advisor/projection_need.hpp"
#include "advisor/reach.hpp"
#include "advisor/statistics.hpp"
#include "advisor/verdict.hpp"
#include "advisor/workload.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::advisor {

struct Advice {
    Verdict verdict;
    Placements placements;
    /// Distributed tables, those that others join first; the second: the table whose buckets it shares, or empty.
    std::vector<std::pair<QualifiedName, std::optional<QualifiedName>>> order;
    ProjectionPlan projections;
    double calls = 0;
    double calls_of_one = 0;  ///< that one shard answers
    double calls_of_keys = 0; ///< that name a list of keys
};

Advice advise(const DatabaseStatistics& database, const Workload& workload, std::optional<int> nodes);

/// Commands of this program in the order in which they are given, ready to paste. `dsn`: of the database that was read.
std::vector<std::string> commands_of(const Advice& advice, const DatabaseStatistics& database, const std::string& dsn);

} // namespace keyshift::advisor
