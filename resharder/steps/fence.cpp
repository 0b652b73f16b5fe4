#include "catalog/node_sql.hpp"
#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "core/pg/blockers.hpp"
#include "core/pg/short_lock.hpp"
#include "metrics/families.hpp"
#include "resharder/bucket_comparison.hpp"
#include "resharder/catch_up.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/leaf_columns.hpp"
#include "resharder/steps/open_transaction.hpp"
#include "resharder/steps/steps.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <variant>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Drain time of a quiet stream.
constexpr std::chrono::microseconds kQuiet = 15ms;
/// What was seen of the stream and of old writers is worth this long.
constexpr auto kCalmLasts = 200ms;

/// What the first try may hold writers up for, from the lock to the fence, so that one which meets a busy moment is soon over. Where the
/// road through stream and Kafka takes longer, it is a multiple of what a probe took; each further try has half as much again.
constexpr std::chrono::microseconds kFirstTry = 60ms;
constexpr int kProbes = 4;

/// This try does not fit into its time; the lock is given back and the next try comes later.
struct BackOut {
    std::string why;
};

class FenceTry {
public:
    /// `least`: time for it, within the limit.
    FenceTry(MoveContext& context, CatchUp& apply, BucketComparison& comparison, std::chrono::microseconds least,
             std::stop_token stop)
        : context_(context), apply_(apply), comparison_(comparison), time_(least), stop_(std::move(stop)),
          session_(context.connect_donor("fence")), limit_(context.environment.options->now().write_block_limit),
          open_(std::make_unique<OpenAhead>(context, limit_))
    {
        // The server itself ends the block when this daemon stops in it (corner 4).
        const std::string cap = quote_literal(std::to_string(limit_.count()) + "ms");
        session_.script("SET idle_in_transaction_session_timeout = " + cap + "; SET statement_timeout = " + cap +
                        "; SET lock_timeout = '80ms'; SET synchronous_commit = on");
    }

    /// Fences, or throws BackOut. Any other failure once committing(): the outcome is unknown (corner 6).
    void run()
    {
        wait_for_calm();
        while (!take_turn()) {
            wait_for_calm(); // it may have passed
        }
        listen_to_recipient(context_);
        pg::Transaction block(session_);
        prepare();
        context_.block.emplace();
        deadline_ = context_.block->began() + std::min<std::chrono::microseconds>(limit_, time_);
        lock_leaves();
        context_.block->passed("locked");
        const std::string barrier = apply_.emit_barrier();
        refuse_other_columns(context_, leaf_columns(session_, context_.tables), recipient_columns_); // corner 10
        fence_ = complete_fence(context_, session_);
        context_.block->passed("written");
        drain(barrier);
        failpoint("move.fence.committing");
        if (Clock::now() >= deadline_) {
            throw BackOut{"its time was over before the fence"};
        }
        committing_ = true;
        block.commit();
        context_.block->passed("fenced");
        context_.open_ahead = std::move(open_);
        failpoint("move.fence.committed");
        context_.give_back(std::move(session_));
    }

    bool committing() const { return committing_; }
    /// Then the server may have closed the session.
    bool past_limit() const { return context_.block && Clock::now() >= context_.block->began() + limit_; }
    Lsn fence() const { return fence_; }

private:
    /// False: it is held after a wait in which the calm may have passed. The stream goes on meanwhile.
    bool take_turn()
    {
        if (context_.turn) {
            return true;
        }
        const auto begin = Clock::now();
        while (!context_.take_turn()) {
            if (stop_.stop_requested()) {
                throw BackOut{"the daemon or the job stops"};
            }
            apply_.pump(5ms, stop_);
        }
        return Clock::now() - begin < kCalmLasts;
    }

    /// All that holds up no writer. Locks are taken in any order on both nodes, so each is waited for a short time only.
    void prepare()
    {
        check_owner(session_, context_.move());
        recipient_columns_ = leaf_columns(context_.recipient, context_.tables);
        try {
            announce_fence(context_, session_);
            open_->begin();
        } catch (const pg::TransientSqlError& error) {
            if (error.sqlstate() == "55P03" || error.sqlstate() == "40P01") {
                throw BackOut{"another bucket of the group is switched on one of the nodes"};
            }
            throw;
        }
    }

    void lock_leaves()
    {
        std::string leaves;
        for (const MoveTable& table : context_.tables) {
            leaves += (leaves.empty() ? "ONLY " : ", ONLY ") + table.leaf.quoted();
        }
        try {
            session_.query("LOCK TABLE " + leaves + " IN SHARE ROW EXCLUSIVE MODE");
        } catch (const pg::TransientSqlError& error) {
            if (error.sqlstate() == "55P03" || error.sqlstate() == "40P01") {
                throw BackOut{holder(context_.donor)};
            }
            throw;
        }
    }

    std::string holder(pg::Connection& node)
    {
        const auto holders = pg::blockers(node, leaves(), true, 0ms);
        return holders.empty() ? "somebody held a leaf on node " + node.name() + " for longer than a try waits"
                               : holders.front().sentence(node.name());
    }

    std::vector<QualifiedName> leaves() const
    {
        std::vector<QualifiedName> names;
        for (const MoveTable& table : context_.tables) {
            names.push_back(table.leaf);
        }
        return names;
    }

    /// Everything that can be waited for before the block begins: healthy streams, Kafka, old writers, a drained stream.
    void wait_for_calm()
    {
        cdc::StreamPort& stream = context_.donor_stream();
        if (!stream.healthy()) {
            throw BackOut{"the stream of node " + context_.move().donor + " or Kafka is not healthy"};
        }
        const auto old_writers = pg::blockers(context_.donor, leaves(), true, 100ms);
        if (!old_writers.empty()) {
            throw BackOut{old_writers.front().sentence(context_.move().donor)};
        }
        if (!comparison_.ready()) {
            throw BackOut{"too many rows changed since they were summed: they are summed once more"};
        }
        wait_for_fast_road(stream);
    }

    /// Barriers as probes: the same road as in the block, with nobody waiting. A quiet moment is looked for first; the
    /// longer there is none, the less quiet it has to be.
    void wait_for_fast_road(cdc::StreamPort& stream)
    {
        const auto most = std::chrono::duration_cast<std::chrono::microseconds>(limit_) / 2;
        for (auto allowed = std::min(most, kQuiet);; allowed = std::min(most, allowed * 3 / 2)) {
            const auto begin = Clock::now();
            const auto reached = apply_.reach_barrier(apply_.emit_barrier(), begin + 5s, stop_);
            const bool recorded = reached && stream.wait_recorded(reached->must_be_recorded, 2s);
            const auto took = Clock::now() - begin;
            // The rest need not be there for a fence, but Kafka has to be: once open, the recipient's events go there.
            if (!recorded || !stream.wait_recorded(reached->lsn, 2s)) {
                throw BackOut{reached ? "Kafka acknowledges events of node " + context_.move().donor + " too slowly"
                                      : "changes of node " + context_.move().donor + " arrive too slowly"};
            }
            if (took <= allowed) {
                time_ = std::max(time_, kProbes * std::chrono::duration_cast<std::chrono::microseconds>(took));
                return;
            }
            if (allowed == most) {
                throw BackOut{"draining the stream takes longer than half the write block limit"};
            }
        }
    }

    /// Until the recipient has everything and is ready to open, and Kafka has the bucket's events; and compares.
    void drain(const std::string& id)
    {
        const auto barrier = apply_.reach_barrier(id, deadline_, stop_);
        if (!barrier) {
            throw BackOut{"the barrier did not come by in time"};
        }
        context_.block->passed("applied");
        auto ready = std::async(std::launch::async, [&] { open_->finish(barrier->lsn); });
        compare();
        context_.block->passed("compared");
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
        if (left <= 0ms || !context_.donor_stream().wait_recorded(barrier->must_be_recorded, left)) {
            throw BackOut{"Kafka did not acknowledge the bucket's events in time"};
        }
        context_.block->passed("recorded");
        // The recipient's progress must cover this before it may open (corner 8).
        set_applied_lsn(session_, context_.move(), barrier->lsn);
        wait_ready(ready);
        context_.block->passed("ready");
    }

    void wait_ready(std::future<void>& ready)
    {
        try {
            ready.get();
        } catch (const pg::TransientSqlError& error) {
            if (error.sqlstate() == "55P03") {
                throw BackOut{holder(context_.recipient)};
            }
            throw;
        }
    }

    void compare()
    {
        context_.hashes = comparison_.compare(session_);
        if (context_.hashes.first == context_.hashes.second) {
            return;
        }
        if (comparison_.may_repeat()) {
            throw BackOut{"the sums taken ahead differ: they are taken once more"};
        }
        context_.journal.record_hashes(context_.hashes.first, context_.hashes.second, false);
        context_.environment.metrics->verify_differences.add();
        throw FatalError({"verifying " + context_.move().subject() + " before the switch",
                          "the donor holds " + context_.hashes.first + ", the recipient " + context_.hashes.second,
                          "the move is taken back and the donor stays the owner; start it again, and report this"});
    }

    MoveContext& context_;
    CatchUp& apply_;
    BucketComparison& comparison_;
    std::chrono::microseconds time_;
    std::stop_token stop_;
    pg::Connection session_;
    std::chrono::milliseconds limit_;
    std::unique_ptr<OpenAhead> open_;
    std::vector<std::string> recipient_columns_;
    Clock::time_point deadline_;
    Lsn fence_;
    bool committing_ = false;
};

bool is_timeout(std::string_view sqlstate)
{
    return sqlstate == "55P03" || sqlstate == "57014" || sqlstate == "25P03";
}

/// Where the bucket is fenced, or why this try backed out.
std::variant<Lsn, std::string> try_fence(MoveContext& context, CatchUp& apply, BucketComparison& comparison,
                                         std::chrono::microseconds time, std::stop_token stop)
{
    context.block.reset();
    FenceTry attempt(context, apply, comparison, time, std::move(stop));
    try {
        attempt.run();
        return attempt.fence();
    } catch (const BackOut& back_out) {
        return back_out.why;
    } catch (const pg::TransientSqlError& error) {
        const bool closed = error.sqlstate() == "08006" && attempt.past_limit();
        if (attempt.committing() || !(closed || is_timeout(error.sqlstate()))) {
            throw;
        }
    } catch (const pg::SqlError& error) {
        if (attempt.committing() || !is_timeout(error.sqlstate())) {
            throw;
        }
    }
    return "the server ended the write block at its limit";
}

void prepare_donor(MoveContext& context, std::stop_token stop)
{
    for (const MoveTable& table : context.tables) {
        const auto prepare = [&] {
            // Autovacuum holds the fence's lock off until deadlock_timeout.
            context.donor.query("ALTER TABLE " + table.leaf.quoted() + " SET (autovacuum_enabled = false)");
        };
        pg::with_short_locks(context.donor, prepare, {}, stop);
    }
}

} // namespace

void fence_donor(MoveContext& context, CatchUp& apply, std::stop_token stop)
{
    prepare_donor(context, stop);
    BucketComparison comparison(context, apply);
    comparison.prepare(stop);
    Backoff backoff(20ms, 5000ms);
    std::chrono::microseconds time = kFirstTry;
    auto fenced = try_fence(context, apply, comparison, time, stop);
    for (; std::holds_alternative<std::string>(fenced); fenced = try_fence(context, apply, comparison, time, stop)) {
        context.note_failed_block();
        time = std::min<std::chrono::microseconds>(time + time / 2, 1h); // the limit is less
        const std::string& why = std::get<std::string>(fenced);
        context.turn.reset();
        context.journal.record_fence_try();
        context.journal.waiting_for(why);
        log::info("resharder", "move={} fence backed out: {}", context.move().id, why);
        if (!backoff.wait(stop)) {
            throw TransientError({"fencing " + context.move().subject(), "the daemon or the job stops", "nothing"});
        }
        comparison.prepare(stop);
    }
    record_fence(context, std::get<Lsn>(fenced));
}

} // namespace keyshift::resharder
