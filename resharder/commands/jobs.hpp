#pragma once
/// Finding the job that a command means.

#include "core/pg/connection.hpp"

#include <cstdint>
#include <optional>

namespace keyshift::resharder {

/// The job, or the newest one when none is given. Throws RefusedError when there is none.
std::int64_t job_or_newest(pg::Connection& catalog, std::optional<std::int64_t> job);

} // namespace keyshift::resharder
