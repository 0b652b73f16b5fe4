#pragma once
/// All subscriptions of one node's stream: where movers ask for one, and where the stream's thread feeds them.
///
/// A subscription begins at a transaction boundary of the stream. One that begins now is made at the next boundary; one that
/// continues from an older position waits until the stream has gone back to it (restart_wanted), which the slot allows
/// because the catalog's position of the move held it back.

#include "cdc/source/captured_tables.hpp"
#include "cdc/source/delivered_transactions.hpp"
#include "cdc/source/stream_subscription.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

class Subscriptions {
public:
    Subscriptions(std::size_t memory_limit, std::string spool_directory, int wake_fd);

    /// The mover's thread; waits for the stream. Throws TransientError when the stream does not answer in time or is
    /// stopped, FatalError when the slot has gone past `from`.
    std::unique_ptr<Subscription> subscribe(const StreamSubscription::Subject& subject, std::optional<Lsn> from);

    // The stream's thread from here on.

    /// A session begins: every transaction with commit LSN >= `start` will come.
    void session_started(Lsn start);
    /// Between two transactions, everything below `position` seen: answers what is waiting.
    void at_boundary(Lsn position);
    /// A waiting subscription needs the stream to go back.
    bool restart_wanted() const { return restart_wanted_; }
    bool any() const { return !active_.empty(); }
    const DeliveredTransactions& delivered() const { return delivered_; }
    /// The node is a promoted standby, or another server: before its session starts.
    void timeline_changed() { delivered_.forget(); }

    void begin_transaction(Lsn commit_lsn, std::uint32_t xid);
    void feed(const Change& change, const std::string& group, BucketId bucket);
    void barrier(std::int64_t move, const BarrierSeen& barrier);
    void end_transaction(const TransactionEnd& end);
    void advance(Lsn lsn);
    void break_transaction();
    /// The stream has stopped for good (or until run() is called again).
    void stop(const ErrorParts& why);
    void start();

    /// What the slot must keep: least position of the subscriptions and of the catalog's unfinished moves that have none.
    /// `reading` counts how often `unfinished` was read: a subscription that ended holds on until the catalog was read
    /// twice since, so that its move is either listed there or over.
    std::optional<Lsn> hold(const std::vector<UnfinishedMove>& unfinished, std::uint64_t reading);

private:
    class Handle;
    struct Request {
        StreamSubscription::Subject subject;
        std::optional<Lsn> from;
        std::shared_ptr<StreamSubscription> answer;
        std::optional<ErrorParts> refused;
    };
    struct Departed {
        Lsn position;
        std::uint64_t reading = 0;
    };
    void answer(Request& request, Lsn position);
    void answer_all(Lsn position);

    const std::size_t memory_limit_;
    const std::string spool_directory_;
    const int wake_fd_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<Request>> requests_;
    std::vector<std::shared_ptr<StreamSubscription>> all_;
    std::optional<ErrorParts> stopped_;
    std::vector<Departed> departed_;
    std::uint64_t last_reading_ = 0;
    std::atomic<bool> attention_ = false; ///< requests_ or all_ changed

    // The stream's thread only.
    std::vector<std::shared_ptr<StreamSubscription>> active_;
    std::vector<bool> wants_; ///< of active_: the present transaction is new to it
    DeliveredTransactions delivered_;
    Lsn session_start_;
    bool restart_wanted_ = false;
};

} // namespace keyshift::cdc
