#pragma once
/// DDL that must not make an application wait: tries with a lock_timeout of tens of milliseconds and back-off between.

#include "core/pg/connection.hpp"

#include <functional>
#include <stop_token>

namespace keyshift::pg {

/// Runs `body` in a transaction whose locks are waited for 80 ms at most; when one is not got, rolls back, calls
/// `between_tries` and tries again after a pause of 20 ms to 2 s. Throws TransientError on stop.
void with_short_locks(Connection& node, const std::function<void()>& body, const std::function<void()>& between_tries,
                      std::stop_token stop);

} // namespace keyshift::pg
