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
    /// Called before the record is produced; the token comes back in acknowledge(). Tokens count up from 0.
    std::uint64_t hand_over(std::size_t bytes);
    /// In any order; a token that is not pending is ignored.
    void acknowledge(std::uint64_t token);
    /// The record was not produced and never will be: nobody waits for it. Its transaction has not been reached, and comes
    /// again with records of its own.
    void withdraw(std::uint64_t token);
    /// Everything with a commit before `lsn` has been handed over.
    void reached(Lsn lsn);

    Lsn acknowledged() const;
    /// Every record with a lower token is acknowledged.
    std::uint64_t first_pending() const;
    /// Token of the next record.
    std::uint64_t next_token() const;
    std::size_t pending_bytes() const;
    /// False: `wait` passed.
    bool wait(Lsn lsn, std::chrono::milliseconds wait) const;

private:
    struct Record {
        std::uint32_t bytes = 0;
        bool acknowledged = false;
    };
    /// `lsn` is acknowledged once every record with a lower token is.
    struct Boundary {
        std::uint64_t token = 0;
        Lsn lsn;
    };
    void pass_boundaries();

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::deque<Record> records_; ///< from the oldest pending one on
    std::uint64_t first_ = 0;    ///< token of records_.front()
    std::deque<Boundary> boundaries_;
    std::size_t pending_bytes_ = 0;
    Lsn acknowledged_;
};

} // namespace keyshift::cdc
