#include "tests/resharder/switch_next.hpp"

namespace keyshift::test {

namespace {

using resharder::MoveProgress;
using resharder::MoveState;
using resharder::WayBack;

class DaemonNext {
public:
    DaemonNext(Next& next, std::size_t daemon) : next_(next), now_(next.now), rules_(next.rules), k_(daemon) {}

    void all()
    {
        const Daemon& d = now_.daemons.at(k_);
        switch (d.at) {
        case At::away:
            start();
            break;
        case At::journal_read:
            raise_donor();
            break;
        case At::donor_raised:
            raise_recipient();
            break;
        case At::running:
            run();
            break;
        case At::subscribed:
            act(on_recipient(), "it takes the snapshot and copies", [this](State& next) {
                next.snapshot = next.donor_wal.size;
                next.rows = all_writes(next.donor_wal);
                next.staged = 1;
                next.daemons.at(k_).did = 1;
                next.daemons.at(k_).at = At::running;
            });
            break;
        default:
            fence_try();
        }
    }

private:
    using Change = Next::Change;

    void add(const char* what, bool fault, const Change& change) { next_.add(what, fault, change); }

    void start()
    {
        const bool beside = now_.daemons.at(1 - k_).at != At::away;
        if (ended(now_) || (beside && (now_.faults == 0 || k_ == 1))) {
            return;
        }
        add("a daemon takes the move over", beside, [this](State& next) {
            Daemon& d = next.daemons.at(k_);
            d.epoch = ++next.journal_owner;
            d.state = next.journal;
            d.at = At::journal_read;
        });
    }

    void refused(State& next) const { next.daemons.at(k_) = {}; }

    void raise_donor()
    {
        const Daemon& d = now_.daemons.at(k_);
        if (rules_.takeover_waits && now_.lock != Lock::none && now_.lock_epoch != d.epoch) {
            return; // for the row that the block's transaction has locked
        }
        add("it raises the donor's owner epoch", false, [&](State& next) {
            if (!rules_.may_take_over(now_.donor_owner, d.epoch)) {
                refused(next);
                return;
            }
            next.donor_owner = d.epoch;
            next.daemons.at(k_).at = At::donor_raised;
        });
    }

    void raise_recipient()
    {
        const Daemon& d = now_.daemons.at(k_);
        if (rules_.takeover_waits && now_.open != Lock::none && now_.open_epoch != d.epoch) {
            return; // for the row that the open's transaction has locked
        }
        add("it raises the recipient's owner epoch", false, [&](State& next) {
            if (!rules_.may_take_over(now_.recipient_owner, d.epoch)) {
                refused(next);
                return;
            }
            next.recipient_owner = d.epoch;
            next.daemons.at(k_).applied = now_.applied;
            next.daemons.at(k_).at = At::running;
        });
    }

    MoveProgress on_donor() const { return {now_.donor_owner, std::nullopt}; }
    MoveProgress on_recipient() const { return {now_.recipient_owner, lsn_at(now_.applied)}; }
    bool may_act(const MoveProgress& recorded, const Daemon& d) const { return rules_.may_act(recorded, d.epoch); }

    bool fence_landed() const { return test::fence_landed(now_, rules_); }
    /// A transaction on a node that checks the owner epoch first.
    void act(const MoveProgress& recorded, const char* what, const Change& change)
    {
        add(what, false, [&](State& next) {
            if (may_act(recorded, now_.daemons.at(k_))) {
                change(next);
            } else {
                refused(next);
            }
        });
    }

    void run()
    {
        const Daemon& d = now_.daemons.at(k_);
        for (const resharder::LegalStep& step : rules_.steps) {
            if (raw(step.from) != d.state) {
                continue;
            }
            if (ready(step, d)) {
                journal(step.to);
            } else if (step.to == MoveState::copying && step.from != MoveState::planned && now_.faults > 0 &&
                       !fence_landed()) {
                // The slot has forgotten what the copy lacks.
                add("it begins again with a new copy", true,
                    [&](State& next) { write_journal(next, MoveState::copying); });
            }
        }
        if (d.did == 0) {
            duty();
        }
    }

    /// The journal may be told of this step.
    bool ready(const resharder::LegalStep& step, const Daemon& d) const
    {
        switch (step.to) {
        case MoveState::copying:
            return step.from == MoveState::planned && now_.donor_bucket == kOpen && now_.kept == 0 && d.did == 0;
        case MoveState::indexing:
        case MoveState::attached:
        case MoveState::done:
        case MoveState::aborted:
        case MoveState::switched:
            return d.did != 0;
        case MoveState::fenced:
            return fence_landed();
        case MoveState::aborting:
            return now_.cancelled != 0 && rules_.way_back(step.from, fence_landed()) == WayBack::abort;
        default:
            return true;
        }
    }

    void write_journal(State& next, MoveState to) const
    {
        if (!step_in_journal(next, rules_, next.daemons.at(k_), to)) {
            refused(next);
        }
    }

    void journal(MoveState to)
    {
        add("it steps in the journal", false, [&](State& next) { write_journal(next, to); });
        if (now_.faults > 0) {
            add("it steps, and the reply is lost", true, [&](State& next) {
                write_journal(next, to);
                refused(next);
            });
        }
    }

    void duty()
    {
        switch (static_cast<MoveState>(now_.daemons.at(k_).state)) {
        case MoveState::planned:
            if (now_.donor_bucket != kOpen) {
                add("preflight refuses it", false, [this](State& next) { refused(next); });
            } else if (now_.kept != 0 || now_.staged != 0) {
                adopt();
            }
            break;
        case MoveState::copying:
            act(on_recipient(), "it subscribes and makes staging tables", [this](State& next) {
                next.staged = next.rows = next.doubled = 0;
                next.applied = next.daemons.at(k_).applied = next.donor_wal.size;
                next.daemons.at(k_).at = At::subscribed;
            });
            break;
        case MoveState::catching_up:
            apply();
            act(on_recipient(), "it attaches the copy", [this](State& next) { next.daemons.at(k_).did = 1; });
            break;
        case MoveState::attached:
            lock();
            break;
        case MoveState::fenced:
            open();
            break;
        case MoveState::settling:
            clear();
            break;
        case MoveState::aborting:
            act(on_recipient(), "it takes back", [this](State& next) {
                next.staged = next.rows = next.doubled = 0;
                next.daemons.at(k_).did = 1;
            });
            break;
        default:
            break;
        }
    }

    /// It is the chain of this move from here on; or was, by an attempt before.
    void adopt()
    {
        act(on_recipient(), "it takes the kept copy over", [this](State& next) {
            next.kept = 0;
            next.staged = 1;
            next.daemons.at(k_).applied = next.applied;
            next.daemons.at(k_).did = 1;
        });
    }

    void apply()
    {
        const std::uint8_t from = now_.daemons.at(k_).applied;
        if (from >= now_.donor_wal.size) {
            return;
        }
        add("it applies the next item", false, [&, from](State& next) {
            const auto answer =
                rules_.may_apply(on_recipient(), now_.recipient_open != 0, now_.daemons.at(k_).epoch, lsn_at(from));
            if (answer != resharder::ApplyAnswer::applies) {
                refused(next);
                return;
            }
            Daemon& d = next.daemons.at(k_);
            next.applied = d.applied = static_cast<std::uint8_t>(from + 1);
            const Item item = now_.donor_wal.kind(from);
            const std::uint8_t id = now_.donor_wal.id(from);
            if (item == Item::write && from >= now_.snapshot) {
                apply_write(next, id);
            } else if (item == Item::barrier && d.barrier != 0 && (id == d.barrier || !rules_.own_barrier_only)) {
                d.seen = d.applied;
            }
        });
    }

    void lock()
    {
        if (fence_landed() || now_.lock != Lock::none || now_.open != Lock::none) {
            return;
        }
        act(on_donor(), "it locks the donor's leaves", [this](State& next) {
            next.lock = Lock::locked;
            next.lock_epoch = next.daemons.at(k_).epoch;
            next.daemons.at(k_).at = At::locked;
        });
    }

    void fence_try()
    {
        const Daemon& d = now_.daemons.at(k_);
        const bool has_lock = now_.lock != Lock::none && now_.lock_epoch == d.epoch;
        if (d.at != At::committing && d.at != At::locked && !has_lock) {
            add("it finds its write block ended", false, [this](State& next) { back_out(next); });
            return;
        }
        if (d.at != At::committing && now_.faults > 0) {
            add("the try runs out of time", true, [this](State& next) {
                next.lock = Lock::none;
                back_out(next);
            });
        }
        in_block(d, has_lock);
    }

    void in_block(const Daemon& d, bool has_lock)
    {
        if (d.at == At::locked) {
            add("it sends a barrier", false, [this](State& next) {
                next.daemons.at(k_).barrier = ++next.barriers;
                next.daemons.at(k_).at = At::barrier_sent;
                next.donor_wal.push(Item::barrier, next.barriers);
            });
        } else if (d.at == At::barrier_sent) {
            apply();
            if (d.seen != 0 && recorded_enough(now_, rules_, d.seen)) {
                add("all is applied, acknowledged and recorded", false,
                    [this](State& next) { next.daemons.at(k_).at = At::drained; });
            }
        } else if (d.at == At::drained) {
            add("it compares the copies", false, [this](State& next) {
                const bool equal = next.rows == all_writes(next.donor_wal) && next.doubled == 0;
                next.violation = equal ? next.violation : Violation::copies_differ;
                next.daemons.at(k_).at = At::compared;
            });
        } else if (d.at == At::compared) {
            make_ready(d);
        } else if (d.at == At::ready) {
            add("it sends the fence's commit", false, [&](State& next) {
                next.lock = Lock::committing;
                next.lock_barrier = d.seen;
                next.daemons.at(k_).at = At::committing;
                if (!rules_.trigger_before_catalog) {
                    write_journal(next, MoveState::fenced);
                }
            });
        } else if (!has_lock || !rules_.record_before_open) {
            if (!rules_.record_before_open) {
                open();
            }
            add("it learns how the commit ended", false, [&](State& next) {
                if (fence_landed()) {
                    end_try(next);
                } else {
                    refused(next);
                }
            });
        }
    }

    /// The open's transaction but for its commit; it holds the owner's row until it ends.
    void make_ready(const Daemon& d)
    {
        if (!rules_.covers_fence(lsn_at(d.seen), lsn_at(now_.applied))) {
            return;
        }
        act(on_recipient(), "it makes the open ready", [&](State& next) {
            next.open = Lock::locked;
            next.open_epoch = d.epoch;
            next.daemons.at(k_).at = At::ready;
        });
    }

    void back_out(State& next) const
    {
        if (next.open_epoch == next.daemons.at(k_).epoch) {
            next.open = Lock::none;
        }
        end_try(next);
    }

    void end_try(State& next) const
    {
        Daemon& d = next.daemons.at(k_);
        d.at = At::running;
        d.barrier = d.seen = 0;
    }

    void open()
    {
        if (now_.recipient_open != 0) {
            add("it finds the recipient open", false, [this](State& next) { next.daemons.at(k_).did = 1; });
            return;
        }
        if (now_.open != Lock::none && now_.open_epoch == now_.daemons.at(k_).epoch) {
            if (now_.open == Lock::locked) {
                add("it sends the open's commit", false, [](State& next) { next.open = Lock::committing; });
            }
            return;
        }
        if (now_.open != Lock::none || !rules_.covers_fence(lsn_at(now_.donor_barrier), lsn_at(now_.applied))) {
            return; // it waits for a row; or the bucket stays closed, loudly
        }
        act(on_recipient(), "it opens the recipient", [this](State& next) {
            open_recipient(next);
            next.daemons.at(k_).did = 1;
        });
    }

    void clear()
    {
        act(on_donor(), "it clears the donor", [this](State& next) {
            if (next.donor_bucket == kFenced) {
                next.donor_bucket = kClosed;
                next.donor_wal.push(Item::mover);
            }
            next.daemons.at(k_).did = 1;
        });
    }

    Next& next_;
    const State& now_;
    const Rules& rules_;
    std::size_t k_;
};

} // namespace

void daemon_steps(Next& next, std::size_t k)
{
    DaemonNext(next, k).all();
}

} // namespace keyshift::test
