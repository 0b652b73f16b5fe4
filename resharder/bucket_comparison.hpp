#pragma once
/// Proves that donor and recipient hold the same rows, under the donor's lock. A large bucket is summed before the lock,
/// each end from a snapshot of its own that stays open; under the lock only the rows that changed since are summed, as
/// each snapshot had them and as they are. That is exact, because the reject triggers let nobody but the mover change the
/// recipient's copy meanwhile, and every change of the donor comes by the stream.

#include "resharder/bucket_hash.hpp"
#include "resharder/catch_up.hpp"
#include "resharder/move_context.hpp"
#include "resharder/touched_keys.hpp"

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

namespace keyshift::resharder {

class BucketComparison {
public:
    BucketComparison(MoveContext& context, CatchUp& apply) : context_(context), apply_(apply) {}
    ~BucketComparison();
    BucketComparison(const BucketComparison&) = delete;
    BucketComparison& operator=(const BucketComparison&) = delete;

    /// Sums a large bucket ahead, while apply goes on; nothing to do for a small one or when it was done lately.
    void prepare(std::stop_token stop);
    /// The work left under the lock is small enough.
    bool ready() const;
    /// Of donor (by the session that holds the lock) and recipient, which has applied everything.
    std::pair<std::string, std::string> compare(pg::Connection& locked_donor);
    /// After a difference: true once, when the comparison rested on sums taken ahead; they are taken anew. (A commit that
    /// was delivered before it was visible may be missing from both the snapshot and the touched rows.)
    bool may_repeat();

private:
    /// One end, summed ahead.
    struct End {
        pg::Connection snapshot;
        std::vector<std::string> leaves; ///< quoted
        std::vector<RowSum> sums;
    };
    struct Ahead {
        TouchedKeys touched;
        End donor;
        End recipient;
        std::chrono::steady_clock::time_point at;
    };
    bool large();
    void forget_ahead();
    End open_end(pg::Connection connection, std::vector<std::string> leaves) const;
    std::string now(End& ahead_end, pg::Connection& present) const;
    std::vector<std::string> donor_leaves() const;
    std::vector<std::string> recipient_leaves();

    MoveContext& context_;
    CatchUp& apply_;
    std::unique_ptr<Ahead> ahead_;
    int prepared_ = 0;
    bool repeated_ = false;
};

} // namespace keyshift::resharder
