#pragma once
/// What PostgreSQL makes of a SELECT over several tables.

#include "projections/commands/composite_plan.hpp"

#include <vector>

namespace keyshift::projections {

/// Name and type of each column of the result, as `node` reads the SELECT over empty tables with the members' columns; nothing
/// of them stays. Throws Error(refused) where PostgreSQL does not take it, or where a function's value changes by itself.
std::vector<ProjectedColumn> columns_of_composite(pg::Connection& node, const CompositePlan& plan);

} // namespace keyshift::projections
