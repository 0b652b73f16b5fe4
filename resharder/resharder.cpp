#include "resharder/resharder.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "metrics/families.hpp"
#include "resharder/move_runner.hpp"
#include "resharder/reverse/reverse_streams.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kTick = 200ms;
constexpr auto kSettleRetry = 2s;
constexpr std::size_t kSettlersAtOnce = 2;
constexpr std::size_t kMostAside = 8; ///< each holds the WAL of its donor and a backlog

/// An unfinished move and what its job wants, as one tick sees it.
struct PendingMove {
    std::int64_t id = 0;
    std::int64_t job = 0;
    std::string donor;
    std::string recipient;
    MoveState state = MoveState::planned;
    std::string wanted;
    bool due = true;       ///< its grace period is over
    bool kept = false;     ///< its donor's copy is to be kept current
    bool has_rows = false; ///< it is in the middle of a copy
    double waits = 0;      ///< seconds in one step before the fence, for something that it names; 0: it goes on
};

std::vector<PendingMove> pending_moves(pg::Connection& catalog)
{
    const auto rows = catalog.query(
        "SELECT m.id, m.job, m.donor, m.recipient, m.state, j.wanted, coalesce(m.settle_until <= now(), true), "
        "CASE WHEN m.waiting_for IS NULL OR m.waiting_for LIKE 'throttled: %' THEN 0 ELSE coalesce(extract(epoch FROM now() - coalesce(m.phase_since, m.started_at)), 0) END, "
        "coalesce(m.state = 'settling' AND m.reverse_position IS NOT NULL AND m.settle_until > now(), false), "
        "m.state = 'copying' AND m.copy_snapshot IS NOT NULL "
        "FROM keyshift.move m JOIN keyshift.job j ON j.id = m.job "
        "WHERE m.state NOT IN ('done', 'aborted') ORDER BY m.job, m.id");
    std::vector<PendingMove> moves;
    for (int row = 0; row < rows.rows(); ++row) {
        PendingMove move;
        move.id = rows.integer(row, 0);
        move.job = rows.integer(row, 1);
        move.donor = rows.text(row, 2);
        move.recipient = rows.text(row, 3);
        move.state = parse_move_state(rows.text(row, 4)).value();
        move.wanted = rows.text(row, 5);
        move.due = rows.boolean(row, 6);
        move.waits = rows.real(row, 7);
        move.kept = rows.boolean(row, 8);
        move.has_rows = rows.boolean(row, 9);
        moves.push_back(std::move(move));
    }
    return moves;
}

/// Jobs whose moves are all past their switch, or back.
void finish_jobs(pg::Connection& catalog)
{
    const auto result = catalog.query(
        "UPDATE keyshift.job j SET finished_at = now(), "
        "state = CASE WHEN NOT EXISTS (SELECT FROM keyshift.move m WHERE m.job = j.id AND m.state = 'aborted') THEN 'done' "
        "WHEN j.wanted = 'cancel' THEN 'cancelled' ELSE 'failed' END, "
        "error = (SELECT jsonb_build_object('what', format('moving bucket %s of %s from %s to %s%s: %s', m.bucket, m.group_name, m.donor, "
        "m.recipient, (SELECT CASE WHEN count(*) > 1 THEN format(' (and %s more)', count(*) - 1) ELSE '' END FROM keyshift.move f "
        "WHERE f.job = j.id AND f.state = 'aborted' AND f.error IS NOT NULL), m.error ->> 'what'), 'why', m.error ->> 'why', 'next', m.error ->> 'next') "
        "FROM keyshift.move m WHERE m.job = j.id AND m.state = 'aborted' AND m.error IS NOT NULL ORDER BY m.id LIMIT 1) "
        "WHERE j.state IN ('running', 'paused') AND j.kind = 'reshard' AND NOT EXISTS (SELECT FROM keyshift.move m "
        "WHERE m.job = j.id AND m.state NOT IN ('switched', 'settling', 'done', 'aborted'))");
    if (result.affected() > 0) {
        catalog::notify(catalog, "job");
    }
}

} // namespace

struct Resharder::State {
    struct Worker {
        PendingMove move;
        bool cancel = false;
        bool finished = false;                 ///< under mutex
        bool switched = false;                 ///< under mutex
        std::optional<Clock::time_point> held; ///< since when; under mutex
        std::jthread thread;
    };

    SwitchTurns turns;
    pg::SessionPool sessions;
    MoveEnvironment environment;
    ReverseStreams reverse;
    mutable std::mutex mutex;
    std::condition_variable_any changed;
    bool stirred = false; ///< a worker has finished or switched; under mutex
    /// Changed by the thread of run() alone, under mutex.
    std::map<std::int64_t, std::unique_ptr<Worker>> workers;
    std::map<std::int64_t, Clock::time_point> settle_again;

    void reap();
    void tick(pg::Connection& catalog);
    void steer(Worker& worker, const PendingMove& now);
    bool hold(Worker& worker, bool wanted) const;
    void consider(const PendingMove& move);
    /// Moves that wait for long: others go on beside them.
    std::set<std::int64_t> standing_aside() const;
    bool has_room(const PendingMove& move);
    void start(const PendingMove& move, bool cancel);
    void note_switch(std::int64_t move);
    bool is_held(std::int64_t move);
    void stop_workers();
    void pause_jobs(pg::Connection& catalog, const std::vector<PendingMove>& moves);
    void keep_copies(const std::vector<PendingMove>& moves);
    void show(const std::vector<PendingMove>& moves) const;
};

void Resharder::State::reap()
{
    std::vector<std::unique_ptr<Worker>> ended;
    {
        const std::lock_guard lock(mutex);
        for (auto worker = workers.begin(); worker != workers.end();) {
            if (worker->second->finished) {
                ended.push_back(std::move(worker->second));
                worker = workers.erase(worker);
            } else {
                ++worker;
            }
        }
    }
}

void Resharder::State::start(const PendingMove& move, bool cancel)
{
    auto worker = std::make_unique<Worker>();
    worker->move = move;
    worker->cancel = cancel;
    Worker& started = *worker;
    {
        const std::lock_guard lock(mutex);
        workers[move.id] = std::move(worker);
    }
    started.thread = std::jthread([this, &started](std::stop_token stop) {
        run_move(environment, started.move.id, started.cancel, stop);
        const std::lock_guard lock(mutex);
        started.finished = true;
        stirred = true;
        changed.notify_all();
    });
}

void Resharder::State::stop_workers()
{
    for (const auto& [id, worker] : workers) {
        worker->thread.request_stop();
    }
    for (const auto& [id, worker] : workers) {
        worker->thread.join();
    }
    workers.clear();
    reverse.stop();
}

void Resharder::State::note_switch(std::int64_t move)
{
    const std::lock_guard lock(mutex);
    workers.at(move)->switched = true;
    stirred = true;
    changed.notify_all();
}

void Resharder::State::steer(Worker& worker, const PendingMove& now)
{
    worker.move.state = now.state;
    worker.move.waits = now.waits;
    const bool held = hold(worker, now.wanted == "pause" && now.has_rows && !worker.cancel);
    const bool stays = now.wanted == "run" || worker.cancel || !before_fence(now.state) || held;
    if (!stays) {
        worker.thread.request_stop();
    }
}

/// A copy that pauses keeps its snapshot and its rows, for a time. False: it is not held, or no longer.
bool Resharder::State::hold(Worker& worker, bool wanted) const
{
    const std::lock_guard lock(mutex);
    if (!wanted) {
        worker.held.reset();
        return false;
    }
    worker.held = worker.held.value_or(Clock::now());
    return Clock::now() - *worker.held < environment.options->now().hold_paused;
}

bool Resharder::State::is_held(std::int64_t move)
{
    const std::lock_guard lock(mutex);
    const auto worker = workers.find(move);
    return worker != workers.end() && worker->second->held;
}

std::set<std::int64_t> Resharder::State::standing_aside() const
{
    const double most = std::chrono::duration<double>(environment.options->now().step_aside).count();
    std::set<std::int64_t> aside;
    for (const auto& [id, worker] : workers) {
        if (before_fence(worker->move.state) && worker->move.waits > most && aside.size() < kMostAside) {
            aside.insert(id);
        }
    }
    return aside;
}

bool Resharder::State::has_room(const PendingMove& move)
{
    const std::lock_guard lock(mutex);
    int donor = 0;
    int recipient = 0;
    int all = 0;
    const std::set<std::int64_t> aside = standing_aside();
    for (const auto& [id, worker] : workers) {
        if (worker->switched || worker->move.state == MoveState::settling || aside.contains(id)) {
            continue;
        }
        ++all;
        donor += worker->move.donor == move.donor || worker->move.recipient == move.donor ? 1 : 0;
        recipient += worker->move.donor == move.recipient || worker->move.recipient == move.recipient ? 1 : 0;
    }
    const ReshardOptions options = environment.options->now();
    return (options.max_moves == 0 || all < options.max_moves) && donor < options.max_moves_per_node &&
           recipient < options.max_moves_per_node;
}

void Resharder::State::consider(const PendingMove& move)
{
    if (move.state == MoveState::settling) {
        const auto settlers =
            static_cast<std::size_t>(std::count_if(workers.begin(), workers.end(), [](const auto& entry) {
                return entry.second->move.state == MoveState::settling;
            }));
        auto& again = settle_again[move.id];
        if (move.due && settlers < kSettlersAtOnce && Clock::now() >= again) {
            again = Clock::now() + kSettleRetry;
            start(move, false);
        }
    } else if (!before_fence(move.state)) {
        start(move, false);
    } else if (move.wanted == "cancel") {
        start(move, true);
    } else if (move.wanted == "run" && has_room(move)) {
        start(move, false);
    }
}

void Resharder::State::pause_jobs(pg::Connection& catalog, const std::vector<PendingMove>& moves)
{
    for (const PendingMove& move : moves) {
        if (move.wanted != "pause" || std::any_of(workers.begin(), workers.end(), [&](const auto& entry) {
                return entry.second->move.job == move.job && before_fence(entry.second->move.state) &&
                       !entry.second->held;
            })) {
            continue;
        }
        catalog.query(
            "UPDATE keyshift.job SET state = 'paused' WHERE id = $1 AND state = 'running' AND wanted = 'pause'",
            {std::to_string(move.job)});
    }
}

void Resharder::State::show(const std::vector<PendingMove>& moves) const
{
    std::map<MoveState, int> count;
    for (const PendingMove& move : moves) {
        ++count[move.state];
    }
    for (std::size_t state = 0; state < kMoveStateNames.size(); ++state) {
        environment.metrics->moves(kMoveStateNames[state]).set(count[static_cast<MoveState>(state)]);
    }
}

void Resharder::State::keep_copies(const std::vector<PendingMove>& moves)
{
    std::map<std::string, std::set<std::int64_t>> kept;
    for (const PendingMove& move : moves) {
        if (move.kept) {
            kept[move.donor].insert(move.id);
        }
    }
    reverse.want(environment, kept);
}

void Resharder::State::tick(pg::Connection& catalog)
{
    reap();
    sessions.close_old();
    const auto moves = pending_moves(catalog);
    for (const PendingMove& move : moves) {
        const auto running = workers.find(move.id);
        if (running != workers.end()) {
            steer(*running->second, move);
        } else {
            consider(move);
        }
    }
    keep_copies(moves);
    pause_jobs(catalog, moves);
    finish_jobs(catalog);
    show(moves);
}

Resharder::Resharder(pg::ConnectionSettings catalog, StreamOf stream, std::shared_ptr<const LiveOptions> options,
                     metrics::ReshardMetrics& metrics)
    : state_(std::make_unique<State>())
{
    state_->environment = {std::move(catalog),
                           std::move(stream),
                           std::move(options),
                           &metrics,
                           &state_->turns,
                           &state_->sessions,
                           [this](std::int64_t move) { state_->note_switch(move); },
                           [this](std::int64_t move) { return state_->is_held(move); },
                           [this](const BucketMove& move, std::unique_ptr<cdc::Subscription> subscription) {
                               state_->reverse.hand_over(state_->environment, move, std::move(subscription));
                           },
                           [this](const std::string& node) {
                               state_->reverse.advance(node);
                           }};
}

Resharder::~Resharder() = default;

void Resharder::run(std::stop_token stop)
{
    pg::ConnectionSettings settings = state_->environment.catalog;
    settings.purpose = "resharder";
    std::optional<pg::Connection> catalog;
    Backoff backoff(100ms, 5000ms);
    while (!stop.stop_requested()) {
        try {
            if (!catalog) {
                catalog.emplace(settings);
            }
            state_->tick(*catalog);
            backoff.reset();
        } catch (const Error& error) {
            log::warning("resharder", "catalog: {}", error.what());
            catalog.reset();
            backoff.wait(stop);
            continue;
        }
        std::unique_lock lock(state_->mutex);
        state_->changed.wait_for(lock, stop, kTick, [this] { return state_->stirred; });
        state_->stirred = false;
    }
    state_->stop_workers();
}

} // namespace keyshift::resharder
