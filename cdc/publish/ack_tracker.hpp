#pragma once
/// Tracks records handed to Kafka and tells how far PostgreSQL may forget.
///
/// Fed by the stream's thread (hand_over, reached) and by the delivery thread (acknowledge), hence the mutex.
/// Upholds INV-CDC-1: acknowledged() never passes the oldest record that is still pending.

#include "core/lsn.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace keyshift::cdc {

class AckTracker {
public:
    /// Called before the record is produced; the token comes back in acknowledge().
    std::uint64_t hand_over(std::size_t bytes);
    void acknowledge(std::uint64_t token);
    /// Everything with a commit before `lsn` has been handed over.
    void reached(Lsn lsn);

    Lsn acknowledged() const;
    std::size_t pending_bytes() const;
    /// False: `wait` passed.
    bool wait(Lsn lsn, std::chrono::milliseconds wait) const;

private:
    /// Records are counted in runs: all those handed over between two calls of reached().
    struct Run {
        std::uint64_t first_token = 0;
        std::uint64_t pending = 0;
        Lsn end; ///< zero while the run is still open
    };
    void forget_finished();

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::deque<Run> runs_;
    std::deque<std::uint32_t> sizes_; ///< of the records from first_size_ on; 0: acknowledged
    std::uint64_t first_size_ = 0;
    std::uint64_t next_token_ = 0;
    std::size_t pending_bytes_ = 0;
    Lsn acknowledged_;
};

} // namespace keyshift::cdc
