#include "core/backoff.hpp"
#include "core/log.hpp"
#include "core/snapshot_filter.hpp"
#include "metrics/families.hpp"
#include "resharder/move_owner.hpp"
#include "resharder/steps/copy_pipe.hpp"
#include "resharder/steps/steps.hpp"
#include "resharder/throttle.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 250ms; ///< at the load of both ends
constexpr auto kReportEvery = 1s;

struct Snapshot {
    std::string text;     ///< pg_current_snapshot()
    std::string exported; ///< for SET TRANSACTION SNAPSHOT
};

Snapshot take_snapshot(MoveContext& context, std::stop_token stop)
{
    while (true) {
        context.donor.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        const auto rows = context.donor.query("SELECT pg_current_snapshot()::text, pg_export_snapshot()");
        Snapshot snapshot{std::string(rows.text(0, 0)), std::string(rows.text(0, 1))};
        if (context.subscription->rest_is_in(SnapshotFilter(snapshot.text))) {
            return snapshot;
        }
        context.donor.query("ROLLBACK");
        if (!sleep_for(10ms, stop)) {
            throw TransientError(
                {"copying " + context.move().subject(), "the daemon stops", "it begins again at the next start"});
        }
    }
}

void store_position(MoveContext& context, Lsn position)
{
    pg::Transaction transaction(context.recipient);
    check_owner(context.recipient, context.move());
    set_applied_lsn(context.recipient, context.move(), position);
    transaction.commit();
}

/// Hands tables to workers, largest effort first come; the first failure stops the others.
class CopyWorkers {
public:
    CopyWorkers(MoveContext& context, std::string snapshot)
        : context_(context), snapshot_(std::move(snapshot)),
          meter_(context.environment.options, [this] { return paused(); }),
          donor_load_(context.environment.options, context.donor, context.move().donor, context.donor_node.slot),
          recipient_load_(context.environment.options, context.recipient, context.move().recipient,
                          context.recipient_node.slot)
    {
    }

    void run(std::stop_token stop)
    {
        std::stop_callback forward(stop, [this] { failed_.request_stop(); });
        {
            throttle(); // what is written from here on is its own
            std::unique_lock lock(mutex_);
            hire();
            while (!idle_.wait_for(lock, kLook, [this] { return working_ == 0; })) {
                lock.unlock();
                throttle();
                report();
                lock.lock();
                hire();
            }
        }
        workers_.clear();
        context_.journal.waiting_for(std::nullopt);
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        // Workers that were stopped between two tables end without a failure, and without the rows.
        if (copied_ != context_.tables.size()) {
            throw TransientError({"copying " + context_.move().subject(), "the daemon or the job stops",
                                  "it begins again when they go on"});
        }
        reported_ -= kReportEvery; // once more, whatever the time
        report();
        const BucketMove& move = context_.move();
        context_.environment.metrics->rows_copied(move.donor, move.recipient).add(static_cast<double>(meter_.rows()));
    }

private:
    std::size_t wanted() const
    {
        return static_cast<std::size_t>(std::max(1, context_.environment.options->now().copy_workers));
    }

    /// As many as the options say by now, and as there are tables left. Under mutex_.
    void hire()
    {
        while (working_ < std::min(wanted(), context_.tables.size() - copied_) && !failed_.stop_requested()) {
            ++working_;
            workers_.emplace_back([this] { work(); });
        }
    }

    bool paused() const { return context_.environment.held(context_.move().id); }

    void throttle()
    try {
        std::optional<std::string> why = recipient_load_.too_much();
        // What the donor's slot keeps, this copy's own place is a part of: waiting would only make it more.
        why = why ? why : donor_load_.too_much_to_read();
        meter_.hold(why.has_value());
        context_.journal.waiting_for(
            paused() ? std::optional<std::string>("the job to be resumed; what is copied so far is kept") : why);
    } catch (...) {
        failed_.request_stop();
        throw;
    }

    void report()
    try {
        const auto now = std::chrono::steady_clock::now();
        if (now - reported_ < kReportEvery) {
            return;
        }
        const double seconds = std::chrono::duration<double>(now - reported_).count();
        const auto rate = [seconds](std::int64_t done) {
            return static_cast<double>(done) / std::max(seconds, 0.001);
        };
        context_.journal.record_progress(
            {meter_.rows(), meter_.bytes(), rate(meter_.rows() - rows_), rate(meter_.bytes() - bytes_)});
        reported_ = now;
        rows_ = meter_.rows();
        bytes_ = meter_.bytes();
    } catch (...) {
        failed_.request_stop();
        throw;
    }

    void work() noexcept
    {
        try {
            pg::Connection donor = context_.connect_donor("copy");
            pg::Connection recipient = context_.connect_recipient("copy");
            donor.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
            donor.query("SET TRANSACTION SNAPSHOT " + quote_literal(snapshot_));
            while (const MoveTable* table = next_table()) {
                copy_table(donor, recipient, context_.move(), *table, meter_, failed_.get_token());
                ++copied_;
            }
            donor.query("COMMIT");
            context_.give_back(std::move(donor));
            context_.give_back(std::move(recipient));
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) {
                failure_ = std::current_exception();
            }
            failed_.request_stop();
        }
        const std::lock_guard lock(mutex_);
        --working_;
        idle_.notify_all();
    }

    const MoveTable* next_table()
    {
        const std::lock_guard lock(mutex_);
        if (next_ == context_.tables.size() || failed_.stop_requested() || working_ > wanted()) {
            return nullptr;
        }
        return &context_.tables[next_++];
    }

    MoveContext& context_;
    std::string snapshot_;
    CopyMeter meter_;
    std::mutex mutex_;
    std::condition_variable idle_;
    std::stop_source failed_;
    std::exception_ptr failure_;
    NodeLoad donor_load_;
    NodeLoad recipient_load_;
    std::size_t next_ = 0;
    std::atomic<std::size_t> copied_ = 0;
    std::size_t working_ = 0;
    std::chrono::steady_clock::time_point reported_ = std::chrono::steady_clock::now();
    std::int64_t rows_ = 0; ///< as reported
    std::int64_t bytes_ = 0;
    std::vector<std::jthread> workers_; ///< last: they end before what they use
};

void make_all_staging(MoveContext& context)
{
    pg::Transaction transaction(context.recipient);
    check_owner(context.recipient, context.move());
    // Children first: a staging table of an earlier attempt may already hold foreign keys.
    for (auto table = context.tables.rbegin(); table != context.tables.rend(); ++table) {
        make_staging(context.recipient, *table);
    }
    transaction.commit();
}

} // namespace

void copy_snapshot(MoveContext& context, std::stop_token stop)
{
    const BucketMove& move = context.move();
    context.subscription.reset();
    wait_until_light(context, stop); // before its subscription keeps WAL
    context.subscription = context.donor_stream().subscribe(move.id, move.group, move.bucket, std::nullopt);
    store_position(context, context.subscription->begin());
    make_all_staging(context);
    const Snapshot snapshot = take_snapshot(context, stop);
    context.journal.record_copy(snapshot.text, context.subscription->begin());
    CopyWorkers(context, snapshot.exported).run(stop);
    context.donor.query("COMMIT");
    log::info("resharder", "move={} rows of the snapshot copied", move.id);
}

void copy_locked(MoveContext& context, pg::Connection& donor, std::stop_token stop)
{
    make_all_staging(context);
    CopyMeter meter(context.environment.options);
    for (const MoveTable& table : context.tables) {
        copy_table(donor, context.recipient, context.move(), table, meter, stop);
    }
    context.journal.record_progress({meter.rows(), meter.bytes()});
    context.environment.metrics->rows_copied(context.move().donor, context.move().recipient)
        .add(static_cast<double>(meter.rows()));
}

} // namespace keyshift::resharder
