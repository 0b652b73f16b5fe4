#pragma once
/// COPY from a donor's session into a recipient's, counted and held to a rate.

#include "core/pg/connection.hpp"
#include "resharder/bucket_move.hpp"
#include "resharder/options.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

namespace keyshift::resharder {

/// What all workers of one copy have done so far, and the rate they share.
class CopyMeter {
public:
    /// `paused`: asked by every worker before it goes on.
    explicit CopyMeter(std::shared_ptr<const LiveOptions> options, std::function<bool()> paused = {})
        : options_(std::move(options)), paused_(std::move(paused))
    {
    }
    /// Counts, and waits while the copy is held, or ahead of the rate that is allowed by now.
    void passed(std::int64_t rows, std::size_t bytes, std::stop_token stop);

    void hold(bool held) { held_ = held; }

    std::int64_t rows() const { return rows_; }
    std::int64_t bytes() const { return bytes_; }

private:
    /// How far what has passed is ahead of the rate.
    std::chrono::milliseconds ahead();

    std::shared_ptr<const LiveOptions> options_;
    std::function<bool()> paused_;
    std::mutex mutex_;
    std::uint64_t rate_ = 0;         ///< guarded by mutex_; 0: no limit
    std::int64_t bytes_at_rate_ = 0; ///< guarded by mutex_; that had passed when the rate changed
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now(); ///< guarded by mutex_
    std::atomic<bool> held_ = false;
    std::atomic<std::int64_t> rows_ = 0;
    std::atomic<std::int64_t> bytes_ = 0;
};

/// Fills the (empty) staging table with the donor's leaf as `donor`'s snapshot sees it. Throws TransientError, and leaves no
/// row, when the move has a newer owner by its end.
void copy_table(pg::Connection& donor, pg::Connection& recipient, const BucketMove& move, const MoveTable& table,
                CopyMeter& meter, std::stop_token stop);

/// Drops and makes the staging table: like the placeholder, without indexes, keys and identity; options too. Its owner comes
/// with the swap.
void make_staging(pg::Connection& recipient, const MoveTable& table);

} // namespace keyshift::resharder
