#include "tests/resharder/switch_streams.hpp"

#include "cdc/source/ownership.hpp"

#include <algorithm>

namespace keyshift::test {

namespace {

using cdc::PlacementMessage;

constexpr std::uint8_t kReal = 1; ///< the fence on the donor, the open on the recipient
constexpr std::uint8_t kForged = 2;
constexpr std::uint8_t kBarrier = 4; ///< only where a barrier is taken for a fence

/// Which bit an item of the WAL is announced by; 0: it is no such message.
std::uint8_t message_bit(Item item, const Rules& rules)
{
    switch (item) {
    case Item::fence:
    case Item::open:
        return kReal;
    case Item::forged_fence:
        return kForged;
    case Item::barrier:
        return rules.barrier_is_no_fence ? 0 : kBarrier;
    default:
        return 0;
    }
}

/// One node's side of a state.
class Side {
public:
    Side(const State& state, std::size_t which, const Rules& rules)
        : wal(which == 0 ? state.donor_wal : state.recipient_wal), stream(state.streams.at(which)), donor_(which == 0),
          rules_(rules)
    {
    }

    /// As the stream's session has it: the history that it knows, and the messages that came by.
    cdc::Ownership ownership() const
    {
        cdc::Ownership made;
        if (donor_) {
            const auto fence = find(kReal);
            const bool fenced = stream.view != 0 && fence;
            made.load(
                {{"users", BucketId{0}, Epoch{1}, Lsn{}, fenced ? std::optional(message_lsn(*fence)) : std::nullopt}});
        } else if (stream.view != 0) {
            made.load({{"users", BucketId{0}, Epoch{2}, message_lsn(*find(kReal)), std::nullopt}});
        }
        for (const std::uint8_t bit : {kReal, kForged, kBarrier}) {
            if ((stream.announced & bit) != 0) {
                announce(made, bit);
            }
        }
        return made;
    }

    const Wal& wal;
    const Stream& stream;

    /// The first item with this bit.
    std::optional<std::uint8_t> find(std::uint8_t bit) const
    {
        for (std::uint8_t at = 0; at < wal.size; ++at) {
            if (message_bit(wal.kind(at), rules_) == bit) {
                return at;
            }
        }
        return std::nullopt;
    }

private:
    static Lsn message_lsn(std::uint8_t at) { return {lsn_at(at).value + 8}; }

    void announce(cdc::Ownership& ownership, std::uint8_t bit) const
    {
        const std::uint8_t at = *find(bit);
        const auto kind = donor_ ? PlacementMessage::Kind::fence : PlacementMessage::Kind::open;
        const PlacementMessage message{
            kind, 1, "users", BucketId{0}, Epoch{2}, bit == kForged ? "forged" : "t", message_lsn(at)};
        ownership.announce(message, lsn_at(static_cast<std::uint8_t>(at + 1)));
        if ((stream.decided & bit) == 0) {
            return;
        }
        if (bit == kForged && rules_.checks_messages) {
            ownership.reject(message);
        } else {
            ownership.accept(message);
        }
    }

    bool donor_;
    const Rules& rules_;
};

class StreamNext {
public:
    StreamNext(const State& now, std::size_t which, const Rules& rules, std::vector<StreamStep>& found)
        : now_(now), which_(which), rules_(rules), side_(now, which, rules), found_(found)
    {
    }

    void all()
    {
        if (side_.stream.position < side_.wal.size) {
            read();
        }
        if (side_.stream.recorded < side_.stream.position) {
            add("a progress record is written", false,
                [](State&, Stream& stream) { stream.recorded = stream.position; });
        }
        const std::uint8_t recorded = which_ == 0 ? now_.fence_recorded : now_.open_recorded;
        if (side_.stream.view != recorded || side_.stream.decided != side_.stream.announced) {
            add("a stream hears from the catalog", false, [&](State&, Stream& stream) {
                stream.view = recorded;
                stream.decided = stream.announced;
            });
        }
        if (now_.faults > 0) {
            restart(recorded);
        }
    }

private:
    template <typename Change>
    void add(const char* what, bool fault, Change change)
    {
        StreamStep step{now_, what, fault};
        Stream& stream = step.state.streams.at(which_);
        change(step.state, stream);
        if (records_at_once()) {
            stream.recorded = std::max(stream.recorded, stream.position);
        }
        found_.push_back(step);
    }

    /// Whether a record lags behind matters before the fence alone.
    bool records_at_once() const
    {
        return which_ == 1 || now_.donor_bucket != static_cast<std::uint8_t>(resharder::LocalBucket::State::open);
    }

    void read()
    {
        const std::uint8_t at = side_.stream.position;
        const Item item = side_.wal.kind(at);
        if (item != Item::write && item != Item::mover) {
            add("a stream reads a message", false, [&](State&, Stream& stream) {
                stream.announced |= message_bit(item, rules_);
                ++stream.position;
            });
            return;
        }
        if (at < side_.stream.recorded) {
            add("a stream skips a change that Kafka has", false, [](State&, Stream& stream) { ++stream.position; });
            return;
        }
        cdc::Ownership ownership = side_.ownership();
        const auto answer = ownership.bucket("users", BucketId{0}).at(lsn_at(static_cast<std::uint8_t>(at + 1)));
        if (answer.verdict == cdc::BucketOwnership::Verdict::undecided) {
            return; // it waits for the catalog's word
        }
        const bool publishes = answer.verdict == cdc::BucketOwnership::Verdict::publish;
        add("a stream reads a change", false, [&](State& next, Stream& stream) {
            ++stream.position;
            if (item == Item::mover) {
                next.violation = publishes ? Violation::mover_published : next.violation;
            } else if (publishes) {
                publish(next, static_cast<std::uint8_t>(1U << side_.wal.id(at)));
            } else if ((published(next) & (1U << side_.wal.id(at))) == 0) {
                next.violation = Violation::event_lost;
            }
        });
    }

    void publish(State& next, std::uint8_t bit) const
    {
        if (which_ == 0 && next.recipient_published != 0) {
            next.violation = Violation::old_event_after_new;
        } else if (which_ == 1 && next.donor_published != all_writes(next.donor_wal)) {
            next.violation = Violation::new_event_too_early;
        }
        published(next) |= bit;
    }

    std::uint8_t& published(State& next) const { return which_ == 0 ? next.donor_published : next.recipient_published; }

    /// From the farthest position that the slot may have been confirmed to, or from the beginning.
    void restart(std::uint8_t recorded)
    {
        const auto hold = rules_.holds_unrecorded ? side_.ownership().hold() : std::nullopt;
        const std::uint8_t read = std::min(side_.stream.position, side_.stream.recorded);
        const auto most = hold ? std::min(read, static_cast<std::uint8_t>(hold->value / 16 - 1)) : read;
        for (const std::uint8_t from : {most, std::uint8_t{0}}) {
            add("a stream restarts", true, [&](State& next, Stream& stream) {
                stream = {from, stream.recorded, 0, 0, recorded};
                for (std::uint8_t at = 0; at < from; ++at) {
                    if (side_.wal.kind(at) == Item::write && (published(next) & (1U << side_.wal.id(at))) == 0) {
                        next.violation = Violation::event_lost;
                    }
                }
            });
        }
    }

    const State& now_;
    std::size_t which_;
    const Rules& rules_;
    Side side_;
    std::vector<StreamStep>& found_;
};

} // namespace

std::vector<StreamStep> stream_steps(const State& state, const Rules& rules)
{
    std::vector<StreamStep> found;
    using resharder::MoveState;
    // What a stream reads before it matters to anybody it may as well read later: fewer states.
    const auto journal = static_cast<MoveState>(state.journal);
    const bool donor = journal >= MoveState::attached || state.barriers > 0;
    for (std::size_t which = donor ? 0 : 1; which < (state.recipient_open != 0 ? 2U : 1U); ++which) {
        StreamNext(state, which, rules, found).all();
    }
    return found;
}

const resharder::BucketMove& model_move()
{
    static const resharder::BucketMove move = [] {
        resharder::BucketMove made;
        made.id = 1;
        made.group = "users";
        made.epoch = Epoch{2};
        made.token = "t";
        return made;
    }();
    return move;
}

std::uint8_t writes(const Wal& wal)
{
    std::uint8_t count = 0;
    for (std::uint8_t at = 0; at < wal.size; ++at) {
        if (wal.kind(at) == Item::write) {
            ++count;
        }
    }
    return count;
}

std::uint8_t all_writes(const Wal& wal)
{
    return static_cast<std::uint8_t>((1U << writes(wal)) - 1);
}

} // namespace keyshift::test
