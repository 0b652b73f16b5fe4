#pragma once
/// How others listen to one node's stream beside Kafka: a move subscribes to the buckets it carries.
/// The stream's thread pushes; the mover's thread pops. What does not fit in memory waits in a spool file.

#include "cdc/source/change.hpp"
#include "core/snapshot_filter.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

namespace keyshift::cdc {

/// A change that owns its bytes. `values`: nullopt = SQL NULL; unchanged TOAST is marked per column.
struct OwnedDatum {
    Datum::Kind kind = Datum::Kind::null;
    std::string text;
};
struct OwnedChange {
    ChangeKind kind = ChangeKind::insert;
    std::shared_ptr<const Relation> relation;
    bool old_is_key = false;
    std::optional<std::vector<OwnedDatum>> before;
    std::optional<std::vector<OwnedDatum>> after;
};
/// All changes of one committed transaction that concern the subscription (never empty).
struct OwnedTransaction {
    Lsn commit_lsn;
    Lsn end_lsn;
    std::uint32_t xid = 0;
    std::vector<OwnedChange> changes;
};
/// A `barrier` message of this subscription's move came by: all commits before it have been handed over.
struct BarrierSeen {
    std::string id;
    Lsn lsn;
    /// Rows of a snapshot may be on their way to Kafka, which come as no change; those before `lsn` are all there are.
    bool rows_under_way = false;
};
using SubscriptionItem = std::variant<OwnedTransaction, BarrierSeen>;

/// What a move sees of the donor's stream. Implemented by NodeStream; one consumer thread.
class Subscription {
public:
    virtual ~Subscription() = default; ///< unsubscribes; the stream no longer waits for it

    /// The next item, in commit order. nullopt: nothing came within `wait`, or stop.
    /// Throws TransientError when the stream broke: items were lost from memory; subscribe again from the own position.
    virtual std::optional<SubscriptionItem> next(std::chrono::milliseconds wait, std::stop_token stop) = 0;
    /// What the subscriber has durably applied: the slot's confirmed LSN never passes it.
    virtual void confirm(Lsn end_lsn) = 0;
    /// False: of what the stream handed over before this subscription began the snapshot lacks something. A commit is in the WAL
    /// before any snapshot shows it, a moment or as long as a synchronous standby stalls (corner 3). Known until the first confirm().
    virtual bool rest_is_in(const SnapshotFilter& snapshot) const = 0;
    /// Everything below this LSN that concerns the subscription has been queued.
    virtual Lsn received() const = 0;
    /// Where the subscription begins: every transaction with commit LSN >= this is handed over.
    virtual Lsn begin() const = 0;
};

/// One node's stream as the resharder sees it. Implemented in cdc/; thread-safe.
class StreamPort {
public:
    virtual ~StreamPort() = default;

    /// Leaves of (group, bucket). `from`: the position of a move that continues (it was held back in the slot), or nullopt
    /// to begin now. Throws TransientError while the node's stream is down or cannot go back to `from`
    /// (then the stream reconnects at the slot's position by itself; try again).
    virtual std::unique_ptr<Subscription> subscribe(std::int64_t move, const std::string& group, BucketId bucket,
                                                    std::optional<Lsn> from) = 0;
    /// Waits until every event of the node with commit LSN < `lsn` is acknowledged by Kafka. False: timed out.
    virtual bool wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait) = 0;
    /// The same, and a progress record says so: a stream that begins anew sends none of them again. What a fence waits for.
    virtual bool wait_recorded(Lsn lsn, std::chrono::milliseconds wait) = 0;
    /// Kafka is reachable and the stream runs: checked before a fence.
    virtual bool healthy() const = 0;
    /// Tells the stream that the catalog's bucket history or the set of tables changed: reload before confirming further.
    virtual void placement_changed() = 0;
};

} // namespace keyshift::cdc
