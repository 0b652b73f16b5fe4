#pragma once
/// How moves are carried out, changeable while they run.

#include <chrono>
#include <cstdint>
#include <mutex>

namespace keyshift::resharder {

/// How many moves there may be at a time.
struct MoveCaps {
    int per_node = 1; ///< in which one node takes part
    int in_all = 0;   ///< 0: as many as the nodes may have
};

struct ReshardOptions {
    int max_moves_per_node = 1;
    int max_moves = 0; ///< on all nodes together; 0: as many as they may have
    int copy_workers = 2;
    std::uint64_t max_copy_rate = 0;    ///< bytes/s of each move; 0: none
    std::uint64_t max_replica_lag = 0;  ///< bytes that a standby of either end may be behind; 0: any
    std::uint64_t max_wal_rate = 0;     ///< bytes/s of WAL of either end, whoever writes it; 0: any
    std::uint64_t max_retained_wal = 0; ///< bytes of WAL that the slot of either end may keep; 0: any
    std::chrono::milliseconds write_block_limit{1000};
    std::chrono::milliseconds grace{600'000};
    /// A paused copy keeps its snapshot for so long, and goes on where it was; later it is begun again.
    std::chrono::milliseconds hold_paused{3'600'000};
    /// A move that waits in one step for longer holds up no other.
    std::chrono::milliseconds step_aside{60'000};

    bool operator==(const ReshardOptions&) const = default;
};

/// Read wherever an option is needed, at the moment it is needed. Safe for any thread.
class LiveOptions {
public:
    explicit LiveOptions(const ReshardOptions& options) : options_(options) {}

    ReshardOptions now() const
    {
        const std::lock_guard lock(mutex_);
        return options_;
    }
    void change(const ReshardOptions& next)
    {
        const std::lock_guard lock(mutex_);
        options_ = next;
    }

private:
    mutable std::mutex mutex_;
    ReshardOptions options_; ///< guarded by mutex_
};

} // namespace keyshift::resharder
