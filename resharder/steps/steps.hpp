#pragma once
/// The duties of a move, each in its own file. Each may be run again from its beginning after a crash at any point, and
/// each leaves the journal to the runner unless it says otherwise.

#include "resharder/move_context.hpp"

#include <stop_token>

namespace keyshift::resharder {

class CatchUp;

/// Who owns what, same schema on both ends, nothing left over from before. Throws RefusedError.
void preflight(MoveContext& context);

/// Fills new staging tables from one snapshot of the donor; opens context.subscription first, so that every transaction
/// that the snapshot does not hold will come by it.
void copy_snapshot(MoveContext& context, std::stop_token stop);
/// The same for a projection's bucket, under the lock that `donor` (a session inside its transaction) holds: no stream.
void copy_locked(MoveContext& context, pg::Connection& donor, std::stop_token stop);

/// Keys, indexes, replica identity and the bucket's CHECK on the staging tables, as the leaf they will replace has them.
void build_indexes(MoveContext& context, std::stop_token stop);

/// What an index of the copy is called while it is staged, and as part of the leaf.
struct IndexName {
    std::string staged;
    std::string final;
};
/// As the placeholder has them; the placeholder must still be there.
std::vector<IndexName> index_names(pg::Connection& node, const MoveTable& table);

/// Swaps each staging table for the recipient's placeholder, behind a reject trigger that lets only this move pass.
/// `between_tries` is called while a lock is waited for (apply goes on there).
void attach_copies(MoveContext& context, const std::function<void()>& between_tries, std::stop_token stop);

/// The write block on the donor, tried until it fits into the limit; records the fence in the catalog (state fenced).
void fence_donor(MoveContext& context, CatchUp& apply, std::stop_token stop);
/// True: a fence of this move has landed on the donor, whatever its COMMIT replied. Only after the owner epoch was raised.
bool fence_landed(MoveContext& context);
/// The donor's part inside its transaction. What needs no lock on the leaves: local_bucket, ownership, placement.
void announce_fence(MoveContext& context, pg::Connection& donor);
/// The rest, under the lock: reject triggers, the fence's position and the `fence` message.
Lsn complete_fence(MoveContext& context, pg::Connection& donor);
/// Catalog: state fenced, end of the old epoch's history. nullopt: reads the fence from the donor.
void record_fence(MoveContext& context, std::optional<Lsn> fence = std::nullopt);

/// Corner 8: what the recipient has applied covers the barrier that the fence waited for. Throws FatalError.
void check_coverage(const BucketMove& move, std::optional<Lsn> barrier, std::optional<Lsn> applied);
/// Opens the bucket on the recipient and switches the catalog (state switched).
void open_recipient(MoveContext& context);
/// Tells every node that can be reached where the bucket is now.
void spread_switch(MoveContext& context);

/// A projection's bucket from copy to fence in one go under its donor's row lock (states copying to fenced).
void move_projection_bucket(MoveContext& context, std::stop_token stop);

/// Before the fence, so that the recipient's stream need not go back for the reverse one: context.reverse, when it can be had.
void listen_to_recipient(MoveContext& context);
/// The donor's copy may be kept current from the switch on, if the catalog says so (keyshift.move.reverse_position).
void begin_following(MoveContext& context, std::stop_token stop);
/// For good, and durably, before the copy is cleared.
void stop_following(MoveContext& context);
/// For a move that adopts: takes the copy from the settling move before. The state that follows: attached, or copying when
/// the copy was not kept current to the end.
MoveState adopt_copy(MoveContext& context, std::stop_token stop);

/// Clears the donor's leaf once no old reader can need it. False: it is still needed (grace, an old snapshot).
bool settle(MoveContext& context, std::stop_token stop);

/// At least one leaf of the recipient is this move's copy.
bool swapped(MoveContext& context);
/// Puts the placeholders back and drops what the move made on the recipient; the donor is as before.
void take_back(MoveContext& context, std::stop_token stop);
/// Rows of the move on the nodes that no state needs any more.
void forget_progress(MoveContext& context);

/// Row triggers of users on the leaf alone: what a move writes or clears there has fired them on the node that had it.
void silence_user_triggers(pg::Connection& node, const MoveTable& table);
/// As they are on the root.
void restore_user_triggers(pg::Connection& node, const MoveTable& table);
/// The statements of that.
std::string restored_user_triggers(pg::Connection& node, const MoveTable& table);

} // namespace keyshift::resharder
