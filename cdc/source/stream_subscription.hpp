#pragma once
/// One move's view of a node's stream. The stream's thread feeds a StreamSubscription; the mover's thread reads it through
/// a SubscriptionHandle. Both share it; it outlives reconnections of the stream, which skip what it has already.

#include "cdc/source/change_codec.hpp"
#include "cdc/source/spilling_queue.hpp"
#include "cdc/source/subscription.hpp"
#include "core/error.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::cdc {

class StreamSubscription {
public:
    struct Subject {
        std::int64_t move = 0;
        std::string group;
        BucketId bucket{};
    };
    /// `delivered`: xids of what was handed over before.
    StreamSubscription(Subject subject, Lsn begin, std::vector<std::uint32_t> delivered, std::size_t memory_limit,
                       const std::string& spool_directory);

    const Subject& subject() const { return subject_; }
    Lsn begin() const { return begin_; }

    /// The stream's thread. Changes and barriers of a transaction, then its end; or a break, which takes them back.
    void feed(const Change& change);
    void feed(const BarrierSeen& barrier);
    void end_transaction(const TransactionEnd& end);
    void break_transaction();
    /// Everything below `lsn` has been seen.
    void advance(Lsn lsn);
    /// True: a transaction with this commit LSN has been handed over before.
    bool has(Lsn commit_lsn) const { return commit_lsn < received(); }
    void close(ErrorParts why);

    /// The mover's thread.
    std::optional<SubscriptionItem> next(std::chrono::milliseconds wait, std::stop_token stop);
    bool rest_is_in(const SnapshotFilter& snapshot) const
    {
        return std::ranges::all_of(delivered_, [&](std::uint32_t xid) { return snapshot.holds(xid); });
    }
    void confirm(Lsn end_lsn);

    /// Any thread.
    Lsn confirmed() const { return {confirmed_.load()}; }
    Lsn received() const { return {received_.load()}; }

private:
    const Subject subject_;
    const Lsn begin_;
    std::vector<std::uint32_t> delivered_; ///< until the first confirm(); the mover's thread
    ChangeCodec codec_;
    SpillingQueue queue_;
    std::vector<OwnedChange> changes_; ///< of the transaction that next() is putting together
    bool fed_changes_ = false;
    std::atomic<std::uint64_t> confirmed_;
    std::atomic<std::uint64_t> received_;
    std::mutex mutex_;
    ErrorParts closed_because_;
};

} // namespace keyshift::cdc
