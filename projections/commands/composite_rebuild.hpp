#pragma once
/// Another generation of a projection of several tables: members of its own beside those of the one that serves.

#include "projections/commands/composite.hpp"
#include "projections/projections.hpp"

#include <nlohmann/json_fwd.hpp>

#include <stop_token>

namespace keyshift::projections {

/// As rebuild() and rollback(), under the caller's lock. The daemon does the rest: composite_succession.
nlohmann::json rebuild_composite(pg::Connection& catalog, const Composite& serving, const RebuildRequest& request);
nlohmann::json rollback_composite(pg::Connection& catalog, const Composite& serving, bool dry_run);

/// Its members, their tables, views and rows in the catalog; nothing reads them any more. False: a move of its buckets is under way,
/// and nothing was done. Under the caller's lock; may be run again.
bool remove_generation(pg::Connection& catalog, const Composite& composite, const std::stop_token& stop);

/// 0 to 1: of the rows that were there before, by the member that has least of them.
double backfill_done(pg::Connection& catalog, const Composite& composite);
/// building, verifying (it waits for nothing but its turn), failed or paused.
std::string state_of_successor(pg::Connection& catalog, const Composite& composite);

} // namespace keyshift::projections
