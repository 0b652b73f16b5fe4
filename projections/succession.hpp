#pragma once
/// The end of a rebuild: a generation that is complete is verified and takes the place of the one that serves, node by node,
/// each in one transaction; then the old one goes. Every step may be run again.

#include "core/pg/connection.hpp"

#include <cstdint>
#include <stop_token>
#include <string>

namespace keyshift::projections {

/// Verifies the generation with this row in keyshift.projection and makes it the one that serves. Throws FatalError when it
/// differs from its definition; the other one then goes on serving.
void succeed(const pg::ConnectionSettings& catalog, std::int64_t id, std::stop_token stop);

/// Tables, progress and catalog rows of generations that have been succeeded. Waits while their buckets are moved.
void remove_succeeded(const pg::ConnectionSettings& catalog, const std::string& projection, std::stop_token stop);

} // namespace keyshift::projections
