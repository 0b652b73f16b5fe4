#pragma once
/// Drives one move from whatever state it is in. The root of a thread of its own.

#include "resharder/move_context.hpp"

#include <cstdint>
#include <stop_token>

namespace keyshift::resharder {

/// Until the move is done or aborted, has to wait for its grace period, or stop. Transient faults are retried with
/// back-off; a fatal one before the fence takes the move back, later ones are shown and tried again (forward only).
/// `cancel`: take the move back if its fence has not landed.
void run_move(const MoveEnvironment& environment, std::int64_t move, bool cancel, std::stop_token stop) noexcept;

} // namespace keyshift::resharder
