#pragma once
/// Tracks records handed to Kafka and tells how far PostgreSQL may forget.
///
/// Fed by the stream's thread (hand_over, reached) and by the one that commits (acknowledge_below), hence the mutex.
/// Upholds INV-CDC-1: acknowledged() never passes the oldest record that is still pending.

#include "core/lsn.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace keyshift::cdc {

class AckTracker {
public:
    /// Token of the next record; tokens count up from 0. The stream's thread.
    std::uint64_t next_token() const { return next_.load(std::memory_order_relaxed); }
    /// The record with next_token() is on its way. It may be acknowledged before this call.
    void hand_over() { next_.fetch_add(1, std::memory_order_relaxed); }
    /// Every record with a lower token is in Kafka for good.
    void acknowledge_below(std::uint64_t token);
    /// Everything with a commit before `lsn` has been handed over. The stream's thread.
    void reached(Lsn lsn);

    Lsn acknowledged() const;
    /// Every record with a lower token is acknowledged.
    std::uint64_t first_pending() const;
    /// False: `wait` passed.
    bool wait(Lsn lsn, std::chrono::milliseconds wait) const;

private:
    /// `lsn` is acknowledged once every record with a lower token is.
    struct Boundary {
        std::uint64_t token = 0;
        Lsn lsn;
    };
    void pass_boundaries();

    std::atomic<std::uint64_t> next_ = 0;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::uint64_t first_ = 0; ///< guarded by mutex_
    std::deque<Boundary> boundaries_;
    Lsn acknowledged_;
};

} // namespace keyshift::cdc
