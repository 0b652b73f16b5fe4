#pragma once
/// The end of a rebuild of a projection of several tables: once all members of the new generation are live they are verified, and its
/// view takes the place of the one that is read, on each node in one transaction (docs/adr/0028). Then the old generation is
/// kept for a while, and goes.

#include "core/pg/connection.hpp"

#include <stop_token>

namespace keyshift::projections {

/// Looks once after all generations that are to take another's place, or to go. Every step may be run again. What one of them cannot
/// be replaced for stands in its row; faults of the world are logged.
void settle_composites(const pg::ConnectionSettings& catalog, const std::stop_token& stop);

} // namespace keyshift::projections
