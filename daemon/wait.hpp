#pragma once
/// Waiting for the daemon's work in a command: until it is done, --timeout passes, or Ctrl-C.

#include "core/backoff.hpp"
#include "daemon/command_context.hpp"

#include <atomic>
#include <chrono>
#include <stop_token>
#include <thread>

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

/// Ctrl-C and --timeout as a stop token, for work that the command does itself and takes back when it is stopped.
class CommandStop {
public:
    explicit CommandStop(const CommandContext& context)
        : limit_(context.limit()), watcher_([this](std::stop_token over) { watch(over); })
    {
    }

    std::stop_token token() const { return work_.get_token(); }
    /// Of the command that was stopped: 130 or 124; 0: it was not.
    int status() const { return status_; }

private:
    void watch(const std::stop_token& over)
    {
        watch_interrupt();
        const auto begin = std::chrono::steady_clock::now();
        while (sleep_for(std::chrono::milliseconds(50), over)) {
            if (interrupted()) {
                status_ = exit_status_of(WaitResult::interrupted);
            } else if (limit_ && std::chrono::steady_clock::now() - begin > *limit_) {
                status_ = exit_status_of(WaitResult::timed_out);
            } else {
                continue;
            }
            work_.request_stop();
            return;
        }
    }

    std::optional<std::chrono::milliseconds> limit_;
    std::stop_source work_;
    std::atomic<int> status_ = 0;
    std::jthread watcher_;
};

} // namespace keyshift::daemon
