#pragma once
/// A second session on the node, on its own thread, beside the replication connection. A server that shuts down ends it at
/// once, while the walsender would wait for us: that is how the stream learns to let go (INV-OPS-3). Each second it asks for the
/// slot's state and looks whether the publication still has everything; it writes a heartbeat message when the node is idle,
/// so that its slot advances.

#include "catalog/catalog.hpp"
#include "cdc/source/publication_check.hpp"
#include "cdc/source/slot_check.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace keyshift::cdc {

class ControlSession {
public:
    struct Callbacks {
        /// Called from the session's thread when there is something to act on.
        std::function<void()> wake;
        /// The tables that the publication must have.
        std::function<std::vector<PublishedTable>()> captured;
    };
    /// `sound_until`: the WAL position at which the publication was last seen to be whole; it outlives the session.
    ControlSession(const catalog::Node& node, std::chrono::milliseconds heartbeat_interval, Callbacks callbacks,
                   Lsn sound_until);
    ~ControlSession();

    /// Why the connection ended; nullopt while it lives.
    std::optional<ErrorParts> lost() const;
    std::optional<SlotFacts> slot() const;
    /// The publication was altered so that changes are not sent; stays until the session ends.
    std::optional<ErrorParts> altered() const;
    Lsn sound_until() const;
    /// When the server last answered.
    std::chrono::steady_clock::time_point answered_at() const { return answered_at_.load(); }
    /// Something of interest arrived: no heartbeat is needed for one interval.
    void note_activity() { activity_.store(true, std::memory_order_relaxed); }

private:
    void run(std::stop_token stop);
    void beat();
    void look_at_publication(Lsn now);

    const catalog::Node node_;
    const std::chrono::milliseconds heartbeat_interval_;
    const Callbacks callbacks_;
    pg::Connection connection_;
    std::atomic<bool> activity_ = false;
    std::atomic<std::chrono::steady_clock::time_point> answered_at_;
    std::chrono::steady_clock::time_point last_activity_; ///< the session's thread only
    int faults_ = 0;                                      ///< looks in a row, the session's thread only
    mutable std::mutex mutex_;
    std::optional<ErrorParts> lost_;
    std::optional<SlotFacts> slot_;
    std::optional<ErrorParts> altered_;
    Lsn sound_until_;
    std::jthread thread_;
};

} // namespace keyshift::cdc
