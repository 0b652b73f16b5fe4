/// The donor's copy after the switch: kept current by a ReverseStream while the move settles, and taken over by a move back.

#include "catalog/node_sql.hpp"
#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "core/pg/short_lock.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/steps.hpp"

#include <chrono>

namespace keyshift::resharder {

namespace {

/// A copy lacks what its owner wrote in the last 100 ms; where it lacks more, going back costs less than waiting.
constexpr std::chrono::seconds kCopyComesUp{2};
constexpr std::chrono::milliseconds kLook{10};

std::optional<Lsn> reverse_position(MoveContext& context, std::int64_t move)
{
    const auto rows =
        context.catalog.query("SELECT reverse_position FROM keyshift.move WHERE id = $1", {std::to_string(move)});
    return rows.rows() == 0 || rows.is_null(0, 0) ? std::nullopt : std::optional(rows.lsn(0, 0));
}

/// Nothing of the old move's attempts may come after.
void end_old_move(pg::Connection& node, const BucketMove& move)
{
    BucketMove old = move;
    old.id = *move.adopts;
    end_older_sessions(node, old);
    node.query("DELETE FROM keyshift.move_progress WHERE move = $1", {std::to_string(old.id)});
}

/// Inside a transaction. nullopt: the copy is not current, or not there any more.
std::optional<Lsn> take_over(MoveContext& context)
{
    const BucketMove& move = context.move();
    pg::Connection& node = context.recipient;
    check_owner(node, move);
    const std::string old = std::to_string(*move.adopts);
    // The row is locked: its stream has ended its batch, and finds no chain from here on.
    const auto chain = node.query("SELECT reverse_lsn FROM keyshift.move_progress WHERE move = $1 FOR UPDATE", {old});
    const LocalBucket bucket = local_bucket(node, move);
    if (bucket.move == move.id) {
        // By an attempt before this one; a statement of `keyshift ddl` may have ended since, which ends the copy's use.
        return reverse_position(context, *move.adopts) ? applied_lsn(node, move) : std::nullopt;
    }
    if (bucket.state != LocalBucket::State::fenced || bucket.move != *move.adopts) {
        return std::nullopt;
    }
    for (const MoveTable& table : context.tables) {
        catalog::create_reject_trigger(node, table.leaf, move.group, move.bucket, move.token);
        silence_user_triggers(node, table);
    }
    node.query("UPDATE keyshift.local_bucket SET state = 'closed', move = $3, token = $4 "
               "WHERE group_name = $1 AND bucket = $2",
               {move.group, std::to_string(number(move.bucket)), std::to_string(move.id), move.token});
    if (chain.rows() == 0 || chain.is_null(0, 0) || !reverse_position(context, *move.adopts)) {
        return std::nullopt;
    }
    set_applied_lsn(node, move, chain.lsn(0, 0));
    return chain.lsn(0, 0);
}

} // namespace

void listen_to_recipient(MoveContext& context)
{
    const BucketMove& move = context.move();
    cdc::StreamPort* stream = context.environment.stream(move.recipient);
    context.reverse.reset();
    if (stream == nullptr || !stream->healthy() || context.environment.options->now().grace.count() == 0) {
        return;
    }
    try {
        context.reverse = stream->subscribe(move.id, move.group, move.bucket, std::nullopt);
    } catch (const Error& error) {
        log::info("resharder", "move={} the recipient's stream is asked again after the switch: {}", move.id,
                  error.what());
    }
}

void begin_following(MoveContext& context, std::stop_token stop)
{
    const BucketMove& move = context.move();
    const auto position = reverse_position(context, move.id);
    if (!position) {
        return;
    }
    pg::with_short_locks(
        context.donor,
        [&] {
            check_owner(context.donor, move);
            for (const MoveTable& table : context.tables) {
                context.donor.query("ALTER TABLE " + table.leaf.quoted() + " RESET (autovacuum_enabled)");
                silence_user_triggers(context.donor, table);
            }
            context.donor.query("UPDATE keyshift.move_progress SET reverse_lsn = $2::pg_lsn WHERE move = $1",
                                {std::to_string(move.id), position->to_string()});
        },
        {}, stop);
}

void stop_following(MoveContext& context)
{
    pg::Transaction transaction(context.donor);
    check_owner(context.donor, context.move());
    context.donor.query("UPDATE keyshift.move_progress SET reverse_lsn = NULL WHERE move = $1",
                        {std::to_string(context.move().id)});
    transaction.commit();
}

namespace {

/// How far the copy that the move takes over has come; nullopt: it is not kept current.
std::optional<Lsn> chain_of_copy(MoveContext& context)
{
    const auto rows = context.recipient.query("SELECT reverse_lsn FROM keyshift.move_progress WHERE move = $1",
                                              {std::to_string(*context.move().adopts)});
    return rows.rows() == 0 || rows.is_null(0, 0) ? std::nullopt : std::optional(rows.lsn(0, 0));
}

/// From now on, while the copy is still kept current by another, until it has come to where this begins: then the owner's stream
/// need not go back for what the copy lacks. Where that does not work out, it goes back: context.subscription is nullptr.
void listen_to_owner(MoveContext& context, const std::stop_token& stop)
{
    const BucketMove& move = context.move();
    if (!chain_of_copy(context)) {
        return;
    }
    try {
        context.subscription = context.donor_stream().subscribe(move.id, move.group, move.bucket, std::nullopt);
    } catch (const Error& error) {
        log::info("resharder", "move={} the owner's stream is asked again when the copy is taken over: {}", move.id,
                  error.what());
        return;
    }
    const auto give_up = std::chrono::steady_clock::now() + kCopyComesUp;
    for (auto chain = chain_of_copy(context); chain < context.subscription->begin(); chain = chain_of_copy(context)) {
        if (!chain || std::chrono::steady_clock::now() > give_up || stop.stop_requested()) {
            context.subscription.reset();
            return;
        }
        context.environment.advance_copies(move.recipient);
        sleep_for(kLook, stop);
    }
}

} // namespace

MoveState adopt_copy(MoveContext& context, std::stop_token stop)
{
    const BucketMove& move = context.move();
    for (pg::Connection* node : {&context.donor, &context.recipient}) {
        BucketMove old = move;
        old.id = *move.adopts;
        end_older_sessions(*node, old);
    }
    listen_to_owner(context, stop);
    std::optional<Lsn> position;
    const auto between_tries = [&] {
        context.journal.waiting_for("a lock on the frozen leaves on node " + move.recipient);
    };
    pg::with_short_locks(
        context.recipient, [&] { position = take_over(context); }, between_tries, stop);
    failpoint("move.adopt.taken");
    end_old_move(context.donor, move);
    end_old_move(context.recipient, move);
    context.journal.record_adopted(position);
    return position ? MoveState::attached : MoveState::copying;
}

} // namespace keyshift::resharder
