#pragma once
/// Whose events the changes of a bucket are: for each (group, bucket) the intervals of the WAL in which this node owned it,
/// each with its epoch. Filled from the catalog's bucket_history and extended by the fence and open messages of the stream.
/// Pure: no connection, no clock. One thread.
///
///   confirmed message                       history row
///   open ------> [lsn, ...)   published     (epoch, open_lsn, NULL)
///   fence -----> [..., lsn)   published     (epoch, open_lsn, fence_lsn): silent, see below
///   open of a split's next epoch: [..., lsn) keeps the epoch before and is published as well
///
/// Once the catalog holds a fence, everything before it was acknowledged by Kafka (the fence waited for that), so a replay
/// of that WAL publishes nothing: a consumer that takes the last event would be left with an old value (INV-CDC-2).

#include "cdc/source/placement_message.hpp"
#include "core/ids.hpp"
#include "core/lsn.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::cdc {

/// One row of keyshift.bucket_history of this node.
struct OwnedInterval {
    std::string group;
    BucketId bucket{};
    Epoch epoch{};
    Lsn open;
    std::optional<Lsn> fence;
};

class BucketOwnership {
public:
    enum class Verdict {
        publish,
        drop,
        undecided, ///< a fence or open message before this position is not yet checked against the catalog
    };
    struct Answer {
        Verdict verdict = Verdict::drop;
        Epoch epoch{};
    };
    /// For an event of a transaction whose commit record is at `commit_lsn`.
    Answer at(Lsn commit_lsn) const;

private:
    friend class Ownership;
    struct Interval {
        Epoch epoch{};
        Lsn open;
        std::optional<Lsn> fence;
        bool in_catalog = false;
        bool fenced_in_catalog = false;
    };
    std::vector<Interval> intervals_;
    std::optional<Lsn> undecided_from_;
};

class Ownership {
public:
    /// Takes the catalog's rows of this node. What only messages said so far stays.
    void load(const std::vector<OwnedInterval>& history);

    /// The bucket's intervals; the reference stays valid and follows every later load and message.
    const BucketOwnership& bucket(const std::string& group, BucketId bucket);

    /// A message came by in the transaction with this commit LSN. False: the history holds it already.
    bool announce(const PlacementMessage& message, Lsn commit_lsn);
    /// The catalog knows the message's move, token and epoch: it counts from here on.
    void accept(const PlacementMessage& message);
    /// It does not: the message is forgotten.
    void reject(const PlacementMessage& message);

    /// The stream must not confirm past this: commit LSN of the oldest message that the history does not hold.
    std::optional<Lsn> hold() const;

private:
    struct Waiting {
        PlacementMessage message;
        Lsn commit_lsn;
        bool accepted = false;
    };
    using Key = std::pair<std::string, std::uint32_t>;
    static Key key_of(const std::string& group, BucketId bucket) { return {group, number(bucket)}; }
    bool held(const PlacementMessage& message) const;
    /// Forgets messages that the history holds by now; sets from where each bucket is undecided.
    void settle();

    std::map<Key, BucketOwnership> buckets_;
    std::vector<Waiting> waiting_; ///< in stream order
};

} // namespace keyshift::cdc
