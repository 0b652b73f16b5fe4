#pragma once
/// ANALYZE of a projection's tables, once they are filled: autovacuum leaves small leaves out, and from the planner's guesses a
/// read of all groups looks dear enough to be compiled (jit), which takes longer than many such reads.

#include "core/pg/connection.hpp"
#include "projections/definition.hpp"

#include <stop_token>

namespace keyshift::projections {

/// On every node; takes a small sample, and holds up neither reads nor writes. What fails is logged and left to autovacuum.
void gather_planner_statistics(const Definition& definition, const pg::ConnectionSettings& catalog,
                               const std::stop_token& stop) noexcept;

} // namespace keyshift::projections
