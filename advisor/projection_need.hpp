#pragma once
/// The projections that statements which ask every shard would need, as definitions that `projection create` accepts. Pure.

#include "advisor/key_choice.hpp"
#include "advisor/reach.hpp"
#include "advisor/statistics.hpp"
#include "advisor/workload.hpp"

#include <set>
#include <string>
#include <vector>

namespace keyshift::advisor {

struct ProjectionNeed {
    std::string name;
    std::string key;
    std::string sql;
    double calls = 0; ///< of the statements that it serves
    std::vector<QualifiedName> bases;
    std::set<std::string> nullable; ///< columns of its key that may be NULL
    std::set<QualifiedName> whole;  ///< tables of which every node keeps all rows for it
};

/// A statement that asks every shard.
struct Crossing {
    std::size_t asked = 0; ///< number in the workload
    std::string why;
    std::string projection; ///< empty: none serves it
    std::string next;       ///< what to do
};

struct ProjectionPlan {
    std::vector<ProjectionNeed> projections; ///< most calls first
    std::vector<Crossing> crossings;         ///< likewise
};

ProjectionPlan plan_projections(const DatabaseStatistics& database, const Workload& workload,
                                const Placements& placements);

} // namespace keyshift::advisor
