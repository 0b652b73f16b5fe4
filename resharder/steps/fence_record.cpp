/// What a fence is made of, on the donor and in the catalog; shared by moves with and without a stream.

#include "catalog/node_sql.hpp"
#include "catalog/strict.hpp"
#include "metrics/families.hpp"
#include "resharder/bucket_hash.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/control_message.hpp"
#include "resharder/steps/steps.hpp"

namespace keyshift::resharder {

/// INV-MOV-1: all of it, with complete_fence(), in the one transaction whose COMMIT takes the bucket from the donor.
void announce_fence(MoveContext& context, pg::Connection& donor)
{
    const BucketMove& move = context.move();
    const auto fenced = donor.query(
        "UPDATE keyshift.local_bucket SET state = 'fenced', fence_lsn = pg_current_wal_insert_lsn(), move = $3, token = $4 "
        "WHERE group_name = $1 AND bucket = $2 AND state = 'open'",
        {move.group, std::to_string(number(move.bucket)), std::to_string(move.id), move.token});
    if (fenced.affected() != 1) {
        throw FatalError({"fencing " + move.subject() + " on node " + move.donor, "the bucket is not open there",
                          "run `keyshift doctor`"});
    }
    catalog::refresh_ownership(donor, move.group);
    catalog::map_changed(donor, move.group);
    catalog::write_local_placement(donor, move.group, move.bucket, {move.recipient, move.epoch},
                                   context.recipient_node.address);
}

Lsn complete_fence(MoveContext& context, pg::Connection& donor)
{
    const BucketMove& move = context.move();
    for (const MoveTable& table : context.tables) {
        catalog::create_reject_trigger(donor, table.leaf, move.group, move.bucket, move.token);
    }
    // Read under the lock: no commit of the bucket lies behind it (ADR 3).
    const Lsn fence = donor
                          .query("UPDATE keyshift.local_bucket SET fence_lsn = pg_current_wal_insert_lsn() "
                                 "WHERE group_name = $1 AND bucket = $2 RETURNING fence_lsn",
                                 {move.group, std::to_string(number(move.bucket))})
                          .lsn(0, 0);
    emit_control_message(donor, move, "fence", fence);
    return fence;
}

namespace {

Lsn fence_of(MoveContext& context)
{
    const BucketMove& move = context.move();
    return context.donor
        .query("SELECT fence_lsn FROM keyshift.local_bucket WHERE group_name = $1 AND bucket = $2",
               {move.group, std::to_string(number(move.bucket))})
        .lsn(0, 0);
}

/// After a crash between the fence and its record: both copies are frozen, so they can be compared again.
void compare_again(MoveContext& context)
{
    std::vector<std::string> leaves;
    for (const MoveTable& table : context.tables) {
        leaves.push_back(table.leaf.quoted());
    }
    context.hashes = {bucket_hash(context.donor, context.tables, leaves),
                      bucket_hash(context.recipient, context.tables, leaves)};
    if (context.hashes.first != context.hashes.second) {
        context.journal.record_hashes(context.hashes.first, context.hashes.second, false);
        context.environment.metrics->verify_differences.add();
        throw FatalError({"verifying " + context.move().subject() + " before the switch",
                          "the donor holds " + context.hashes.first + ", the recipient " + context.hashes.second,
                          "the bucket stays fenced; compare the two leaves, then report this"});
    }
}

} // namespace

bool fence_landed(MoveContext& context)
{
    return is_fenced_by(local_bucket(context.donor, context.move()), context.move());
}

void record_fence(MoveContext& context, std::optional<Lsn> known)
{
    const BucketMove& move = context.move();
    const std::string fence = (known ? *known : fence_of(context)).to_string();
    if (context.hashes.first.empty()) {
        compare_again(context);
    }
    context.journal.step(MoveState::fenced, [&](pg::Connection& catalog) {
        catalog.query(
            "UPDATE keyshift.move SET fence_lsn = $2::pg_lsn, lag_bytes = 0, donor_hash = $3, recipient_hash = $4, "
            "verified = true WHERE id = $1",
            {std::to_string(move.id), fence, context.hashes.first, context.hashes.second});
        catalog.query(
            "UPDATE keyshift.bucket_history SET fence_lsn = $4::pg_lsn "
            "WHERE group_name = $1 AND bucket = $2 AND epoch < $3::bigint AND node = $5 AND fence_lsn IS NULL",
            {move.group, std::to_string(number(move.bucket)), std::to_string(number(move.epoch)), fence, move.donor});
    });
    if (context.block) {
        context.block->passed("fence recorded");
    }
    context.tell_streams();
}

} // namespace keyshift::resharder
