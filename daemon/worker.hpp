#pragma once
/// One long-running part of the daemon on a thread of its own. What it throws decides what happens next:
/// transient -> again with back-off; fatal (or a fault of the program) -> it stays stopped for a minute or until
/// retry_now(), loudly; what it threw last is shown by status() until it has run for a while.

#include "core/error.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

namespace keyshift::daemon {

struct WorkerStatus {
    std::string name;
    std::string state; ///< running, retrying, stopped
    std::optional<ErrorParts> error;
};

class Worker {
public:
    using Body = std::function<void(std::stop_token)>;
    Worker(std::string name, Body body);
    /// Asks the body to stop and waits for it.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void request_stop() { thread_.request_stop(); }
    /// Ends the pause after a fatal error.
    void retry_now();
    WorkerStatus status() const;

private:
    void loop(std::stop_token stop);
    void failed(const char* state, const ErrorParts& error);
    void pause(std::chrono::milliseconds time, std::stop_token stop);

    const std::string name_;
    const Body body_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    bool retry_ = false;  ///< guarded by mutex_
    WorkerStatus status_; ///< guarded by mutex_
    std::jthread thread_; ///< last: it uses all others
};

} // namespace keyshift::daemon
