#pragma once
/// A second session on the node, on its own thread, beside the replication connection. A server that shuts down ends it at
/// once, while the walsender would wait for us: that is how the stream learns to let go (INV-OPS-3). It also asks for the
/// slot's state each second and writes a heartbeat message when the node is idle, so that its slot advances.

#include "catalog/catalog.hpp"
#include "cdc/source/slot_check.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace keyshift::cdc {

class ControlSession {
public:
    /// `wake` is called from the session's thread when the connection is lost.
    ControlSession(const catalog::Node& node, std::chrono::milliseconds heartbeat_interval, std::function<void()> wake);
    ~ControlSession();

    /// Why the connection ended; nullopt while it lives.
    std::optional<ErrorParts> lost() const;
    std::optional<SlotFacts> slot() const;
    /// Something of interest arrived: no heartbeat is needed for one interval.
    void note_activity() { activity_.store(true, std::memory_order_relaxed); }

private:
    void run(std::stop_token stop);
    void beat();

    const std::string slot_name_;
    const std::chrono::milliseconds heartbeat_interval_;
    const std::function<void()> wake_;
    pg::Connection connection_;
    std::atomic<bool> activity_ = false;
    std::chrono::steady_clock::time_point last_activity_; ///< the session's thread only
    mutable std::mutex mutex_;
    std::optional<ErrorParts> lost_;
    std::optional<SlotFacts> slot_;
    std::jthread thread_;
};

} // namespace keyshift::cdc
