#pragma once
/// A generation that its topic cannot keep exact gives way to one that reads the rows again: what it needed was deleted before it
/// had it (retention), or its table was truncated, which says nothing of each row.

#include "core/error.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <stop_token>

namespace keyshift::projections {

/// Only the rows themselves tell what is to be shown.
struct RowsNeeded : FatalError {
    using FatalError::FatalError;
};

enum class Meanwhile {
    kept,  ///< the generation goes on with the events that come
    stands ///< it can go on no more: state failed
};

/// Begins a generation that reads the rows as they are since `why` came about, unless one is under way that knows of it; the one with
/// this row in keyshift.projection says so under `error`. One that is being built gives way itself; one that is kept to go back to
/// fails. What stands in the way (a move, another command) is waited for. May be run again.
void renew(const pg::ConnectionSettings& catalog, std::int64_t id, const ErrorParts& why, Meanwhile meanwhile,
           std::stop_token stop);

} // namespace keyshift::projections
