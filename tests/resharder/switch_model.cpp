#include "tests/resharder/switch_model.hpp"

#include "tests/resharder/switch_next.hpp"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace keyshift::test {

namespace {

using resharder::MoveState;

/// The properties that can be seen in one state.
Violation broken(const State& state)
{
    if (state.donor_bucket == kOpen && state.recipient_open != 0) {
        return Violation::two_owners;
    }
    if (state.journal == raw(MoveState::aborted) &&
        (state.donor_bucket != kOpen || state.recipient_open != 0 || state.staged != 0 || state.names_recipient != 0 ||
         state.fence_recorded != 0)) {
        return Violation::wrong_end;
    }
    if (state.journal == raw(MoveState::done) &&
        (state.donor_bucket != kClosed || state.recipient_open == 0 || state.names_recipient == 0)) {
        return Violation::wrong_end;
    }
    return Violation::none;
}

/// Owner epochs are only compared: equal where their order is equal.
void rank_epochs(State& state)
{
    const std::array<std::uint8_t*, 7> all{&state.journal_owner,   &state.donor_owner, &state.recipient_owner,
                                           &state.lock_epoch,      &state.open_epoch,  &state.daemons[0].epoch,
                                           &state.daemons[1].epoch};
    std::array<std::uint8_t, 16> rank{};
    for (const std::uint8_t* epoch : all) {
        rank.at(*epoch) = 1;
    }
    rank[0] = 0;
    for (std::size_t at = 1, next = 0; at < rank.size(); ++at) {
        rank.at(at) = rank.at(at) == 0 ? 0 : static_cast<std::uint8_t>(++next);
    }
    for (std::uint8_t* epoch : all) {
        *epoch = rank.at(*epoch);
    }
}

/// States that differ in nothing that can matter from here on become one.
void forget_what_no_longer_counts(State& state)
{
    if (ended(state)) {
        state.daemons = {};
        state.journal_owner = state.donor_owner = state.recipient_owner = 0;
    }
    if (state.lock == Lock::none) {
        state.lock_epoch = state.lock_barrier = 0;
    }
    if (state.recipient_open != 0 || ended(state)) {
        state.open = Lock::none;
    }
    if (state.open == Lock::none) {
        state.open_epoch = 0;
    }
    if (state.donor_bucket != kOpen) {
        state.donor_writes = 0;
    }
    if (state.recipient_open != 0 || ended(state)) {
        state.kept = 0;
        state.follower = kGone;
    }
    if (state.recipient_open != 0) {
        state.rows = state.doubled = state.applied = state.snapshot = state.staged = state.donor_barrier = 0;
        state.cancels = state.cancelled = state.fall_backs = 0;
    }
    rank_epochs(state);
    // The two daemons are alike.
    auto& [first, second] = state.daemons;
    const auto key = [](const Daemon& d) {
        return std::tuple(d.epoch, d.at, d.state, d.applied, d.barrier, d.seen, d.did);
    };
    if (key(second) < key(first)) {
        std::swap(first, second);
    }
}

/// What clients, servers and bad luck may do.
class World {
public:
    explicit World(Next& next) : next_(next), now_(next.now) {}

    void all()
    {
        clients();
        server();
        recipients_server();
        keep_copy();
        if (now_.faults > 0) {
            faults();
        }
    }

private:
    void add(const char* what, bool fault, const Next::Change& change) { next_.add(what, fault, change); }

    void clients()
    {
        if (now_.donor_bucket == kOpen && now_.lock == Lock::none && now_.donor_writes > 0) {
            add("a client writes on the donor", false, [](State& next) {
                next.donor_wal.push(Item::write, writes(next.donor_wal));
                --next.donor_writes;
            });
        }
        if (now_.recipient_open != 0 && now_.recipient_writes > 0) {
            add("a client writes on the recipient", false, [](State& next) {
                next.recipient_wal.push(Item::write, writes(next.recipient_wal));
                --next.recipient_writes;
            });
        }
        if (now_.forgeries > 0) {
            add("somebody forges a fence message", false, [](State& next) {
                next.donor_wal.push(Item::forged_fence);
                --next.forgeries;
            });
        }
        if (now_.cancels > 0 && !ended(now_)) {
            add("the job is cancelled", false, [](State& next) {
                --next.cancels;
                next.cancelled = 1;
            });
        }
    }

    /// What the donor's server does with the fence's transaction.
    void server()
    {
        if (now_.lock == Lock::committing) {
            add("the fence's commit lands", false, [](State& next) {
                next.donor_bucket = kFenced;
                next.donor_barrier = next.lock_barrier;
                next.donor_wal.push(Item::fence);
                next.lock = Lock::none;
            });
        }
        if (now_.lock != Lock::none) {
            const bool awaited = std::any_of(now_.daemons.begin(), now_.daemons.end(), [&](const Daemon& d) {
                return d.epoch == now_.lock_epoch && d.at >= At::locked;
            });
            if (!awaited || now_.faults > 0) {
                add("the server ends the write block", awaited, [](State& next) { next.lock = Lock::none; });
            }
        }
    }

    /// What the recipient's server does with the open's transaction.
    void recipients_server()
    {
        if (now_.open == Lock::committing) {
            add("the open's commit lands", false, [](State& next) { open_recipient(next); });
        }
        if (now_.open != Lock::none) {
            const bool awaited = std::any_of(now_.daemons.begin(), now_.daemons.end(),
                                             [&](const Daemon& d) { return d.epoch == now_.open_epoch; });
            if (!awaited || now_.faults > 0) {
                add("the server ends the open's transaction", awaited, [](State& next) { next.open = Lock::none; });
            }
        }
    }

    /// The thread of the move before, which knows nothing of this one; it learns from the recipient alone that it is over.
    void keep_copy()
    {
        const std::uint8_t from = now_.follower;
        if (from == kGone || now_.recipient_open != 0) {
            return;
        }
        const std::optional<Lsn> recorded = now_.kept != 0 ? std::optional(lsn_at(now_.applied)) : std::nullopt;
        if (!next_.rules.may_follow(now_.kept != 0, recorded, lsn_at(from))) {
            add("the thread of the move before finds its copy gone", false, [](State& next) { next.follower = kGone; });
        } else if (from < now_.donor_wal.size) {
            add("the copy that is kept gets the next item", false, [from](State& next) {
                next.follower = static_cast<std::uint8_t>(from + 1);
                if (next.kept != 0) {
                    next.applied = next.follower;
                }
                if (next.donor_wal.kind(from) == Item::write) {
                    apply_write(next, next.donor_wal.id(from));
                }
            });
        }
    }

    void faults()
    {
        for (std::size_t k = 0; k < now_.daemons.size(); ++k) {
            if (now_.daemons.at(k).at != At::away) {
                add("a daemon crashes", true, [k](State& next) { next.daemons.at(k) = {}; });
            }
        }
        if (now_.lock != Lock::none) {
            add("the donor restarts", true, [](State& next) {
                next.lock = Lock::none;
                next.daemons = {};
            });
        }
        if (now_.fall_backs > 0 && now_.recipient_open == 0) {
            recipient_falls_back();
        }
    }

    void recipient_falls_back()
    {
        for (std::uint8_t at = now_.applied; at-- > now_.snapshot;) {
            if (now_.donor_wal.kind(at) == Item::write) {
                add("the recipient is a standby without the last batch", true, [at](State& next) {
                    next.applied = at;
                    next.rows = static_cast<std::uint8_t>(next.rows & ~(1U << next.donor_wal.id(at)));
                    next.daemons = {};
                    next.open = Lock::none;
                    --next.fall_backs;
                    next.fallen_back = 1;
                });
                return;
            }
        }
    }

    Next& next_;
    const State& now_;
};

} // namespace

bool fence_landed(const State& state, const Rules& rules)
{
    return rules.is_fenced_by({static_cast<resharder::LocalBucket::State>(state.donor_bucket), Epoch{1},
                               state.donor_bucket == kFenced ? model_move().id : 0, model_move().token},
                              model_move());
}

void apply_write(State& state, std::uint8_t id)
{
    const auto bit = static_cast<std::uint8_t>(1U << id);
    state.doubled |= (state.rows & bit) != 0 ? 1 : 0;
    state.rows |= bit;
}

bool recorded_enough(const State& state, const Rules& rules, std::uint8_t seen)
{
    std::uint8_t last_change = 0;
    for (std::uint8_t at = 0; at < seen; ++at) {
        last_change = state.donor_wal.kind(at) == Item::write ? static_cast<std::uint8_t>(at + 1) : last_change;
    }
    const Stream& stream = state.streams[0];
    const int reached =
        (rules.waits_for_record ? stream.recorded : stream.position) + (rules.acknowledged_up_to ? 0 : 1);
    return lsn_at(static_cast<std::uint8_t>(reached)) >=
           rules.must_be_recorded(lsn_at(seen), lsn_at(last_change), false);
}

bool step_in_journal(State& state, const Rules& rules, Daemon& daemon, MoveState to)
{
    if (state.journal != daemon.state || (rules.journal_checks_owner && state.journal_owner != daemon.epoch)) {
        return false;
    }
    if (!resharder::is_legal(static_cast<MoveState>(daemon.state), to)) {
        state.violation = Violation::illegal_step;
    }
    state.journal = daemon.state = raw(to);
    daemon.did = 0;
    if (to == MoveState::fenced) {
        state.fence_recorded = 1;
    } else if (to == MoveState::switched) {
        state.open_recorded = state.names_recipient = 1;
    }
    return true;
}

void open_recipient(State& state)
{
    state.open = Lock::none;
    state.recipient_open = 1;
    state.recipient_wal.push(Item::open);
    if (state.rows != all_writes(state.donor_wal) || state.doubled != 0) {
        state.violation = Violation::write_lost;
    }
}

void Next::add(const char* what, bool fault, const Change& change)
{
    Successor next{now, what, fault};
    change(next.state);
    if (fault) {
        --next.state.faults;
    }
    if (next.state.violation == Violation::none) {
        next.state.violation = broken(next.state);
    }
    found.push_back(next);
    forget_what_no_longer_counts(found.back().state);
}

std::string_view name(Violation violation)
{
    constexpr std::array<std::string_view, 11> kNames{
        "none",
        "two owners",
        "an old event after a new one",
        "a new event before the last old one",
        "an event lost",
        "the mover's rows published",
        "copies differ",
        "a write lost or doubled",
        "a wrong end",
        "an illegal step",
        "stuck",
    };
    return kNames.at(static_cast<std::size_t>(violation));
}

State first_state(const Scope& scope)
{
    State state;
    state.recipient_wal.push(Item::mover); // what apply writes into the attached copy
    state.faults = scope.faults;
    state.donor_writes = scope.donor_writes;
    state.recipient_writes = 1;
    state.forgeries = scope.forgeries;
    state.cancels = scope.cancels;
    state.fall_backs = scope.fall_backs;
    state.kept = scope.kept ? 1 : 0;
    state.follower = scope.kept ? 0 : kGone;
    return state;
}

bool at_rest(const State& state)
{
    return ended(state) && state.donor_published == all_writes(state.donor_wal) &&
           state.recipient_published == all_writes(state.recipient_wal);
}

std::vector<Successor> successors(const State& state, const Rules& rules)
{
    Next next(state, rules);
    World(next).all();
    for (std::size_t k = 0; k < state.daemons.size(); ++k) {
        daemon_steps(next, k);
    }
    for (const StreamStep& step : stream_steps(state, rules)) {
        next.add(step.what, step.fault, [&](State& after) { after = step.state; });
    }
    return std::move(next.found);
}

} // namespace keyshift::test
