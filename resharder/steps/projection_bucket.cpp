/// A projection's bucket has no stream: its only writer locks the donor's local_bucket row FOR SHARE in each data
/// transaction, so a move that holds the row FOR UPDATE from before the copy until its fence has all that was written.
/// The lock dies with the session: after a crash the copy begins again.

#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "resharder/bucket_hash.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/steps.hpp"

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;

void lock_bucket(MoveContext& context, pg::Connection& donor)
{
    const BucketMove& move = context.move();
    check_owner(donor, move);
    const auto rows =
        donor.query("SELECT state FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2 FOR UPDATE",
                    {move.group, std::to_string(number(move.bucket))});
    if (rows.rows() != 1 || rows.text(0, 0) != "open") {
        throw RefusedError(
            {"moving " + move.subject(), "the bucket is not open on node " + move.donor, "run `keyshift doctor`"});
    }
}

void compare(MoveContext& context, pg::Connection& donor)
{
    std::vector<std::string> leaves;
    for (const MoveTable& table : context.tables) {
        leaves.push_back(table.leaf.quoted());
    }
    context.hashes = {bucket_hash(donor, context.tables, leaves),
                      bucket_hash(context.recipient, context.tables, leaves)};
    if (context.hashes.first != context.hashes.second) {
        context.journal.record_hashes(context.hashes.first, context.hashes.second, false);
        throw FatalError({"verifying " + context.move().subject() + " before the switch",
                          "the donor holds " + context.hashes.first + ", the recipient " + context.hashes.second,
                          "the move is taken back and the donor stays the owner; start it again, and report this"});
    }
}

} // namespace

void move_projection_bucket(MoveContext& context, std::stop_token stop)
{
    if (context.move().state != MoveState::copying) {
        context.journal.step(MoveState::copying);
    }
    if (swapped(context)) {
        take_back(context, stop);
    }
    pg::Connection donor = context.connect_donor("copy");
    pg::Transaction lock(donor);
    lock_bucket(context, donor);
    copy_locked(context, donor, stop);
    context.journal.step(MoveState::indexing);
    build_indexes(context, stop);
    context.journal.step(MoveState::catching_up);
    attach_copies(
        context, [] {}, stop);
    context.journal.step(MoveState::attached);
    compare(context, donor);
    while (!(context.take_turn())) {
        if (!sleep_for(10ms, stop)) {
            throw TransientError(
                {"fencing " + context.move().subject(), "the daemon stops", "it begins again at the next start"});
        }
    }
    announce_fence(context, donor);
    const Lsn fence = complete_fence(context, donor);
    failpoint("move.fence.committing");
    lock.commit();
    failpoint("move.fence.committed");
    record_fence(context, fence);
}

} // namespace keyshift::resharder
