#pragma once
/// Waiting for the daemon's work in a command: until it is done, --timeout passes, or Ctrl-C.

#include "core/backoff.hpp"
#include "daemon/command_context.hpp"

#include <chrono>

namespace keyshift::daemon {

enum class WaitResult { reached, timed_out, interrupted };

inline int exit_status_of(WaitResult result)
{
    return result == WaitResult::timed_out     ? exit_status(ErrorKind::timed_out)
           : result == WaitResult::interrupted ? 130
                                               : 0;
}

/// Asks `done` five times a second. Ctrl-C leaves the work running.
template <typename Done>
WaitResult wait_until(const CommandContext& context, Done done)
{
    watch_interrupt();
    const auto limit = context.limit();
    const auto begin = std::chrono::steady_clock::now();
    while (!done()) {
        if (interrupted()) {
            return WaitResult::interrupted;
        }
        if (limit && std::chrono::steady_clock::now() - begin > *limit) {
            return WaitResult::timed_out;
        }
        sleep_for(std::chrono::milliseconds(200), {});
    }
    return WaitResult::reached;
}

} // namespace keyshift::daemon
