#pragma once
/// The end of a rebuild: a generation that is complete is verified and takes the place of the one that serves, node by node,
/// each in one transaction; then the old one goes. Every step may be run again.

#include "catalog/node_access.hpp"
#include "core/backoff.hpp"
#include "projections/projection_record.hpp"

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

namespace keyshift::projections {

/// Verifies the generation with this row in keyshift.projection and makes it the one that serves. Throws FatalError when it
/// differs from its definition; the other one then goes on serving.
void succeed(const pg::ConnectionSettings& catalog, std::int64_t id, std::stop_token stop);

/// Throws FatalError where a generation differs from its definition, beyond the rows that were rejected, or could not use rows that the
/// one that serves shows.
void check_generation(pg::Connection& catalog, const ProjectionRecord& record, const std::stop_token& stop);
/// A node that joins is made like another one. None joins while this is held. Throws TransientError on stop.
std::unique_ptr<catalog::CommandLock> lock_commands(pg::Connection& catalog, const std::string& projection,
                                                    const std::stop_token& stop);
/// Before the views are turned once more, where one that joined meanwhile has not turned. Throws TransientError on stop.
void wait_for_joined(Backoff& backoff, const std::string& projection, const std::stop_token& stop);

/// Tables, progress and catalog rows of generations that have been succeeded. Waits while their buckets are moved.
void remove_succeeded(const pg::ConnectionSettings& catalog, const std::string& projection, std::stop_token stop);

} // namespace keyshift::projections
