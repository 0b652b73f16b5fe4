#pragma once
/// Says of each table why it lies where it was put, in numbers. Pure.

#include "advisor/reach.hpp"
#include "advisor/statistics.hpp"
#include "advisor/workload.hpp"

#include <set>

namespace keyshift::advisor {

/// Tables that foreign keys or statements tie to this one.
std::set<QualifiedName> neighbours_of(const QualifiedName& name, const DatabaseStatistics& database,
                                      const Workload& workload);

void explain_placements(Placements& placements, const DatabaseStatistics& database, const Workload& workload);

} // namespace keyshift::advisor
