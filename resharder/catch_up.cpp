#include "resharder/catch_up.hpp"

#include "core/failpoint.hpp"
#include "resharder/apply_batch.hpp"
#include "resharder/move_guards.hpp"
#include "resharder/move_owner.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatchChanges = 5000;
constexpr auto kReportEvery = 1s;

/// A copy that was taken over is of no snapshot: what it lacks begins at its position.
SnapshotFilter snapshot_of(const BucketMove& move)
{
    return move.copy_snapshot.empty() ? SnapshotFilter() : SnapshotFilter(move.copy_snapshot);
}

} // namespace

Lsn CatchUp::position(MoveContext& context)
{
    if (const auto applied = applied_lsn(context.recipient, context.move())) {
        return *applied;
    }
    throw FatalError({"catching up with " + context.move().subject(), "the recipient has no applied position",
                      "the move is taken back; start it again"});
}

CatchUp::CatchUp(MoveContext& context)
    : context_(context), control_(context.connect_donor("control")), snapshot_(snapshot_of(context.move())),
      applied_(position(context))
{
    if (!context.subscription) {
        const BucketMove& move = context.move();
        context.subscription = context.donor_stream().subscribe(move.id, move.group, move.bucket, applied_);
    }
    last_change_ = context.subscription->begin(); // what came before is not known here
}

CatchUp::~CatchUp()
{
    context_.give_back(std::move(control_));
}

void CatchUp::take(cdc::SubscriptionItem item, Batch& batch)
{
    if (const auto* barrier = std::get_if<cdc::BarrierSeen>(&item)) {
        barrier_ = *barrier;
        batch.end = std::max(batch.end, barrier->lsn);
        return;
    }
    auto& transaction = std::get<cdc::OwnedTransaction>(item);
    batch.end = std::max(batch.end, transaction.end_lsn);
    last_change_ = std::max(last_change_, transaction.end_lsn);
    if (transaction.end_lsn <= applied_ || snapshot_.holds(transaction.xid)) {
        return;
    }
    batch.changes += transaction.changes.size();
    batch.transactions.push_back(std::move(transaction));
}

bool CatchUp::pump(std::chrono::milliseconds wait, std::stop_token stop)
{
    cdc::Subscription& subscription = *context_.subscription;
    const Lsn received = subscription.received();
    auto item = subscription.next(wait, stop);
    if (!item) {
        advance_when_idle(received);
        return false;
    }
    Batch batch;
    while (item) {
        const bool barrier = std::holds_alternative<cdc::BarrierSeen>(*item);
        take(std::move(*item), batch);
        item = barrier || batch.changes >= kBatchChanges ? std::nullopt : subscription.next(0ms, stop);
    }
    apply(batch);
    return true;
}

void CatchUp::apply(const Batch& batch)
{
    if (batch.end <= applied_) {
        return;
    }
    try {
        apply_in_statements_of(batch, kStatementRows);
    } catch (const pg::SqlError& error) {
        if (error.sqlstate() != "23505") {
            throw;
        }
        apply_in_statements_of(batch, 1);
    }
    if (touched_ != nullptr) {
        for (const cdc::OwnedTransaction& transaction : batch.transactions) {
            touched_->add(transaction);
        }
    }
    applied_ = batch.end;
    context_.subscription->confirm(applied_);
    report();
}

void CatchUp::apply_in_statements_of(const Batch& batch, std::size_t rows)
{
    pg::Transaction transaction(context_.recipient);
    continue_apply(context_.recipient, context_.move(), applied_);
    if (!batch.transactions.empty()) {
        std::vector<ApplyTarget> targets;
        for (const MoveTable& table : context_.tables) {
            targets.push_back({&table, context_.copy_of(table).quoted()});
        }
        apply_changes(context_.recipient, context_.move(), std::move(targets), batch.transactions, rows);
    }
    set_applied_lsn(context_.recipient, context_.move(), batch.end);
    failpoint("move.apply.committing");
    transaction.commit();
    failpoint("move.apply.committed");
}

void CatchUp::advance_when_idle(Lsn received)
{
    if (received > applied_ && Clock::now() - reported_ >= kReportEvery) {
        Batch nothing;
        nothing.end = received;
        apply(nothing);
    }
    report();
}

void CatchUp::report()
{
    if (Clock::now() - reported_ < kReportEvery) {
        return;
    }
    reported_ = Clock::now();
    const Lsn now = control_.query("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
    const Lsn have = std::max(applied_, context_.subscription->received());
    context_.journal.record_position(applied_, now > have ? static_cast<std::int64_t>(now.value - have.value) : 0);
}

std::string CatchUp::emit_barrier()
{
    const BucketMove& move = context_.move();
    const std::string id = fmt::format("{}-{}-{}", move.id, move.owner_epoch, ++barriers_);
    const std::string content = fmt::format(R"({{"type":"barrier","move":{},"id":"{}"}})", move.id, id);
    control_.query("SELECT pg_logical_emit_message(true, 'keyshift', $1)", {content});
    return id;
}

std::optional<CatchUp::Barrier> CatchUp::reach_barrier(const std::string& id, Clock::time_point deadline,
                                                       std::stop_token stop)
{
    while (barrier_.id != id) {
        if (Clock::now() >= deadline || stop.stop_requested()) {
            return std::nullopt;
        }
        pump(20ms, stop);
    }
    return Barrier{barrier_.lsn, must_be_recorded(barrier_.lsn, last_change_, barrier_.rows_under_way)};
}

void CatchUp::catch_up(std::stop_token stop)
{
    const std::string id = emit_barrier();
    while (!reach_barrier(id, Clock::now() + 60s, stop)) {
        if (stop.stop_requested()) {
            throw TransientError(
                {"catching up with " + context_.move().subject(), "the daemon stops", "it goes on at the next start"});
        }
        context_.journal.waiting_for("the stream of node " + context_.move().donor + " to hand over its changes");
    }
    context_.journal.waiting_for(std::nullopt);
}

} // namespace keyshift::resharder
