#pragma once
/// keyshift.move_progress on a node: which owner epoch may act for a move there, and how far the recipient has applied.
/// A transaction that checks the row FOR SHARE cannot commit after a newer owner has raised it (corner 5).

#include "core/lsn.hpp"
#include "core/pg/connection.hpp"
#include "resharder/bucket_move.hpp"
#include "resharder/move_guards.hpp"

#include <optional>

namespace keyshift::resharder {

/// Ends sessions of older attempts of this move on the node, whose daemon may be asleep with a lock or in the middle of a copy.
void end_older_sessions(pg::Connection& node, const BucketMove& move);
/// Waits until transactions of older owners have ended. Throws TransientError when a newer owner was here.
void raise_owner(pg::Connection& node, const BucketMove& move);
/// Inside the caller's transaction; throws TransientError when a newer owner was here.
void check_owner(pg::Connection& node, const BucketMove& move);
/// This node's own record of the move's bucket; as one that is closed when there is none.
LocalBucket local_bucket(pg::Connection& node, const BucketMove& move);
/// nullopt: nothing was applied or recorded here.
std::optional<Lsn> applied_lsn(pg::Connection& node, const BucketMove& move);
/// Inside a transaction that has called check_owner.
void set_applied_lsn(pg::Connection& node, const BucketMove& move, Lsn lsn);
/// The chain of apply (corner 8): locks the row, refuses a gap, an overlap, a newer owner and a bucket that is open here.
void continue_apply(pg::Connection& recipient, const BucketMove& move, Lsn from);
/// Lets this transaction pass the reject triggers of the move, and not fire the user's triggers where the role may.
/// True: triggers and foreign keys are off.
bool act_as_mover(pg::Connection& node, const BucketMove& move);

} // namespace keyshift::resharder
