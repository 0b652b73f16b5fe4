#include "resharder/move_runner.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "resharder/catch_up.hpp"
#include "resharder/move_guards.hpp"
#include "resharder/steps/steps.hpp"

#include <exception>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;

bool passes_by_itself(const Error& error)
{
    return error.kind() == ErrorKind::transient || error.kind() == ErrorKind::unreachable ||
           error.kind() == ErrorKind::timed_out;
}

/// A row came before the one of a reference table that it points at, which its own keeper brings: within a group parents are
/// there first.
bool waits_for_reference(const Error& error, pg::Connection& catalog)
{
    const auto* sql = dynamic_cast<const pg::SqlError*>(&error);
    return sql != nullptr && sql->sqlstate() == "23503" &&
           catalog.query("SELECT EXISTS (SELECT FROM keyshift.captured_table WHERE reference)").boolean(0, 0);
}

/// One attempt: owns the context, knows which step each state asks for.
class Attempt {
public:
    Attempt(const MoveEnvironment& environment, std::int64_t move, const std::stop_token& stop)
        : context_(environment, move), stop_(stop)
    {
    }

    void go_back()
    {
        switch (way_back(context_.move().state, fence_landed(context_))) {
        case WayBack::record_fence:
            record_fence(context_);
            break;
        case WayBack::abort:
            context_.journal.step(MoveState::aborting);
            break;
        case WayBack::none:
            break;
        }
    }

    void drive()
    {
        while (!stop_.stop_requested() && step()) {
        }
    }

    /// It has ended well.
    void end() noexcept
    {
        apply_.reset();
        context_.give_back_all();
    }

    /// It is tried again from where it is, not taken back.
    bool passes(const Error& error) noexcept
    {
        try {
            return passes_by_itself(error) || waits_for_reference(error, context_.catalog);
        } catch (const Error&) {
            return false; // the catalog is away: said by the next attempt
        }
    }

    void note(const Error& error) noexcept
    {
        try {
            if (passes(error) && stop_.stop_requested()) {
                context_.journal.waiting_for(std::nullopt); // for nothing: it was told to stop
            } else if (passes(error)) {
                context_.journal.waiting_for(error.parts().what + ": " + error.parts().why);
            } else {
                context_.journal.record_error(error.parts());
            }
        } catch (const Error& again) {
            log::warning("resharder", "move={} error not stored: {}", context_.move().id, again.what());
        }
    }

private:
    /// False: nothing more to do now.
    bool step()
    {
        MoveJournal& journal = context_.journal;
        switch (context_.move().state) {
        case MoveState::planned:
            begin();
            return true;
        case MoveState::copying:
            copy();
            return true;
        case MoveState::indexing:
            build();
            return true;
        case MoveState::catching_up:
            attach();
            return true;
        case MoveState::attached:
            fence();
            return true;
        case MoveState::fenced:
            open_recipient(context_);
            context_.turn.reset();
            context_.environment.switched(context_.move().id);
            return true;
        case MoveState::switched:
            spread_switch(context_);
            begin_settling();
            return true;
        case MoveState::settling:
            return finish();
        case MoveState::aborting:
            take_back(context_, stop_);
            forget_progress(context_);
            journal.step(MoveState::aborted, [this](pg::Connection& catalog) {
                leave_copy(catalog);
                catalog::notify(catalog, "job");
            });
            return false;
        case MoveState::done:
        case MoveState::aborted:
            return false;
        }
        return false;
    }

    void begin()
    {
        preflight(context_);
        const MoveState next = context_.move().adopts ? adopt_copy(context_, stop_) : MoveState::copying;
        const auto end_adopted = [&](pg::Connection& catalog) {
            if (context_.move().adopts) {
                catalog.query("UPDATE keyshift.move SET state = 'done', reverse_position = NULL, finished_at = now() "
                              "WHERE id = $1 AND state = 'settling'",
                              {std::to_string(*context_.move().adopts)});
            }
        };
        context_.journal.step(
            next, [&](pg::Connection& catalog) { refuse_ddl(catalog); }, end_adopted);
        // No statement of `keyshift ddl` begins from here to the fence; one may have ended since they were read.
        context_.tables = tables_of_move(context_.catalog, context_.recipient, context_.move());
    }

    /// What was not taken over stays with the move before, for another grace period.
    void leave_copy(pg::Connection& catalog)
    {
        if (context_.move().adopts) {
            catalog.query(
                "UPDATE keyshift.move SET settle_until = now() + make_interval(secs => $2::float8 / 1000) WHERE id = $1 AND state = 'settling'",
                {std::to_string(*context_.move().adopts), grace()});
        }
    }

    std::string grace() const { return std::to_string(context_.environment.options->now().grace.count()); }

    void refuse_ddl(pg::Connection& catalog)
    {
        const auto rows = catalog.query(
            "SELECT d.id, d.statement FROM keyshift.ddl d WHERE $1 = ANY (d.groups) AND (d.state = 'running' OR d.state = 'waiting' "
            "AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = d.backend AND coalesce(a.backend_start = d.backend_start, true))) LIMIT 1",
            {context_.move().group});
        if (rows.rows() > 0) {
            throw TransientError({"moving " + context_.move().subject(),
                                  "`keyshift ddl` changes its tables: " + std::string(rows.text(0, 1)),
                                  "wait; where that command was interrupted, `keyshift ddl --finish`"});
        }
    }

    void copy()
    {
        if (context_.group.projection) {
            move_projection_bucket(context_, stop_);
            return;
        }
        if (swapped(context_)) {
            take_back(context_, stop_); // of the copy before
        }
        copy_snapshot(context_, stop_);
        context_.journal.step(MoveState::indexing);
    }

    void build()
    {
        if (context_.group.projection) {
            move_projection_bucket(context_, stop_);
            return;
        }
        build_indexes(context_, stop_);
        context_.journal.step(MoveState::catching_up);
    }

    void attach()
    {
        if (context_.group.projection) {
            move_projection_bucket(context_, stop_);
            return;
        }
        if (!have_apply()) {
            return;
        }
        apply_->catch_up(stop_);
        attach_copies(
            context_, [this] { apply_->pump(0ms, stop_); }, stop_);
        context_.journal.step(MoveState::attached);
    }

    void fence()
    {
        if (way_back(context_.move().state, fence_landed(context_)) == WayBack::record_fence) {
            record_fence(context_);
        } else if (context_.group.projection) {
            move_projection_bucket(context_, stop_);
        } else if (have_apply()) {
            fence_donor(context_, *apply_, stop_);
            apply_.reset();
            context_.subscription.reset();
        }
    }

    /// False: the stream has forgotten what the copy lacks, and the move goes back to copying.
    bool have_apply()
    {
        if (apply_) {
            return true;
        }
        if (!context_.subscription && position_lost()) {
            log::warning("resharder", "move={} the slot has moved past its position; copying again",
                         context_.move().id);
            context_.journal.step(MoveState::copying);
            return false;
        }
        apply_ = std::make_unique<CatchUp>(context_);
        return true;
    }

    bool position_lost()
    {
        return context_.donor
            .query(
                "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn > $2::pg_lsn)",
                {context_.donor_node.slot, CatchUp::position(context_).to_string()})
            .boolean(0, 0);
    }

    void begin_settling()
    {
        begin_following(context_, stop_);
        context_.journal.step(MoveState::settling, [&](pg::Connection& catalog) {
            catalog.query(
                "UPDATE keyshift.move SET settle_until = now() + make_interval(secs => $2::float8 / 1000) WHERE id = $1",
                {std::to_string(context_.move().id), grace()});
        });
        if (context_.reverse) {
            context_.environment.settles(context_.move(), std::move(context_.reverse));
        }
    }

    bool finish()
    {
        if (settle(context_, stop_)) {
            context_.journal.step(MoveState::done);
        }
        return false;
    }

    MoveContext context_;
    const std::stop_token& stop_; ///< of the thread
    std::unique_ptr<CatchUp> apply_;
};

/// True: the move needs no further attempt now.
bool attempt_once(const MoveEnvironment& environment, std::int64_t move, bool& back, const std::stop_token& stop)
{
    Attempt attempt(environment, move, stop);
    try {
        if (back) {
            attempt.go_back();
        }
        attempt.drive();
        attempt.end();
        return true;
    } catch (const Error& error) {
        attempt.note(error);
        if (!attempt.passes(error)) {
            log::error("resharder", "move={} {}", move, error.what());
            back = true; // go_back() refuses it past the fence
        }
        throw;
    }
}

} // namespace

void run_move(const MoveEnvironment& environment, std::int64_t move, bool cancel, std::stop_token stop) noexcept
{
    bool back = cancel;
    Backoff backoff(100ms, 5000ms);
    do {
        try {
            if (attempt_once(environment, move, back, stop)) {
                return;
            }
        } catch (const Error& error) {
            if (!stop.stop_requested()) {
                log::info("resharder", "move={} tries again: {}", move, error.what());
            }
        } catch (const std::exception& error) {
            log::error("resharder", "move={} stopped by a fault of the program: {}", move, error.what());
            return;
        } catch (...) {
            log::error("resharder", "move={} stopped by an unknown exception", move);
            return;
        }
    } while (backoff.wait(stop));
}

} // namespace keyshift::resharder
