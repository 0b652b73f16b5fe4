#pragma once
/// The switch protocol as a state space: one bucket on its way from a donor to a recipient, clients that write, two daemons
/// of which any may crash, sleep or be overtaken at any point, both nodes' change streams, Kafka. Each node's WAL is a short
/// list of items. The step table, the guards of resharder/move_guards.hpp and cdc::Ownership are those that ship; what is
/// modelled and what is not: docs/resharding.md.

#include "resharder/move_guards.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace keyshift::test {

/// What must never be; each is a property of docs/invariants.md.
enum class Violation : std::uint8_t {
    none,
    two_owners,          ///< INV-MOV-1
    old_event_after_new, ///< INV-CDC-2: of epoch e after one of e + 1
    new_event_too_early, ///< INV-CDC-2: of epoch e + 1 before the last of e
    event_lost,          ///< a committed write that Kafka will never see
    mover_published,     ///< a row that the mover wrote or cleared, as if a client had
    copies_differ,       ///< found under the lock: apply lost or doubled a write
    write_lost,          ///< the recipient was opened without all of the donor's writes, or with one twice
    wrong_end,           ///< INV-MOV-2: done or aborted, and the placement is another
    illegal_step,        ///< not in the step table
    stuck,               ///< INV-MOV-2: without further faults it neither ends nor comes back
};
std::string_view name(Violation violation);

enum class Item : std::uint8_t { write, barrier, fence, forged_fence, mover, open };

struct Wal {
    std::array<std::uint8_t, 10> items{};
    std::uint8_t size = 0;

    void push(Item item, std::uint8_t id = 0) { items.at(size++) = static_cast<std::uint8_t>((id << 4U) | int(item)); }
    Item kind(std::uint8_t at) const { return static_cast<Item>(items.at(at) & 15U); }
    std::uint8_t id(std::uint8_t at) const { return items.at(at) >> 4U; }
    bool operator==(const Wal&) const = default;
};

/// Where an attempt of a daemon is. From `locked` on it is in its write block.
enum class At : std::uint8_t {
    away,
    journal_read,
    donor_raised,
    running,
    subscribed,
    locked,
    barrier_sent,
    drained,
    compared,
    ready,
    committing
};

struct Daemon {
    At at = At::away;
    std::uint8_t state = 0;   ///< MoveState, as it knows it
    std::uint8_t epoch = 0;   ///< its owner epoch
    std::uint8_t applied = 0; ///< in its memory; may be behind the recipient's
    std::uint8_t barrier = 0; ///< of its present try
    std::uint8_t seen = 0;    ///< where that came by, + 1
    std::uint8_t did = 0;     ///< the duty of this state is done

    bool operator==(const Daemon&) const = default;
};

/// Of the change stream of one node.
struct Stream {
    std::uint8_t position = 0; ///< items read; published ones are acknowledged
    std::uint8_t recorded = 0; ///< the newest progress record: none of the items before is sent again
    std::uint8_t announced =
        0;                    ///< bits of messages that came by in this session: 1 fence or open, 2 forged, 4 a barrier
    std::uint8_t decided = 0; ///< of these, compared with the catalog
    std::uint8_t view = 0;    ///< the catalog's history has this node's fence or open, as the stream knows it

    bool operator==(const Stream&) const = default;
};

enum class Lock : std::uint8_t { none, locked, committing };

struct State {
    Wal donor_wal;
    Wal recipient_wal;
    std::array<Daemon, 2> daemons{};
    std::array<Stream, 2> streams{}; ///< donor's, recipient's
    // The donor.
    std::uint8_t donor_bucket = 0;  ///< LocalBucket::State
    std::uint8_t donor_owner = 0;   ///< owner epoch
    std::uint8_t donor_barrier = 0; ///< what the fence waited for
    Lock lock = Lock::none;         ///< the fence's transaction on the server
    std::uint8_t lock_epoch = 0;
    std::uint8_t lock_barrier = 0;
    Lock open = Lock::none; ///< the open's transaction on the recipient, begun before the fence
    std::uint8_t open_epoch = 0;
    // The recipient.
    std::uint8_t recipient_open = 0;
    std::uint8_t recipient_owner = 0;
    std::uint8_t applied = 0;
    std::uint8_t snapshot = 0; ///< the copy has the writes of the items before
    std::uint8_t rows = 0;     ///< a bit a write
    std::uint8_t doubled = 0;
    std::uint8_t staged = 0;
    std::uint8_t kept = 0; ///< a settling move before keeps a copy here, current up to `applied`: its chain is there
    std::uint8_t follower = 0; ///< where the thread that keeps it believes it to be
    // The catalog.
    std::uint8_t journal = 0; ///< MoveState
    std::uint8_t journal_owner = 0;
    std::uint8_t fence_recorded = 0;
    std::uint8_t open_recorded = 0;
    std::uint8_t names_recipient = 0;
    // Kafka: a bit a write.
    std::uint8_t donor_published = 0;
    std::uint8_t recipient_published = 0;
    // What may still happen.
    std::uint8_t faults = 0;
    std::uint8_t donor_writes = 0;
    std::uint8_t recipient_writes = 0;
    std::uint8_t forgeries = 0;
    std::uint8_t cancels = 0;
    std::uint8_t fall_backs = 0;
    std::uint8_t cancelled = 0;
    std::uint8_t fallen_back = 0; ///< the recipient lost what it had: a move may then wait for an operator
    std::uint8_t barriers = 0;
    Violation violation = Violation::none;

    bool operator==(const State&) const = default;
};

/// How much happens on one path.
struct Scope {
    std::uint8_t faults = 2;
    std::uint8_t donor_writes = 2;
    std::uint8_t forgeries = 0;
    std::uint8_t cancels = 0;
    std::uint8_t fall_backs = 0; ///< the recipient is replaced by a standby that lacks its last batch
    bool kept = false;           ///< the recipient had the bucket before, and its copy has been kept current since
};

/// The rules of the protocol: as they ship, until a test breaks one.
struct Rules {
    std::span<const resharder::LegalStep> steps = resharder::kLegalSteps;
    decltype(&resharder::may_take_over) may_take_over = &resharder::may_take_over;
    decltype(&resharder::may_act) may_act = &resharder::may_act;
    decltype(&resharder::may_apply) may_apply = &resharder::may_apply;
    decltype(&resharder::may_follow) may_follow = &resharder::may_follow;
    decltype(&resharder::covers_fence) covers_fence = &resharder::covers_fence;
    decltype(&resharder::must_be_recorded) must_be_recorded = &resharder::must_be_recorded;
    decltype(&resharder::is_fenced_by) is_fenced_by = &resharder::is_fenced_by;
    decltype(&resharder::way_back) way_back = &resharder::way_back;
    // What is an order of statements or a lock in the steps, and no predicate.
    bool takeover_waits = true; ///< raising the owner epoch waits for transactions that have checked it
    bool journal_checks_owner = true;
    bool own_barrier_only = true;   ///< a try waits for its own barrier
    bool acknowledged_up_to = true; ///< false: `<` where `<=` belongs
    bool trigger_before_catalog = true;
    bool record_before_open = true; ///< false: open once the fence's commit is sent
    bool holds_unrecorded = true;   ///< the stream confirms no message that the history lacks
    bool waits_for_record = true;   ///< a fence waits for the progress record, not for the acknowledgement alone
    bool barrier_is_no_fence = true;
    bool checks_messages = true;
};

struct Successor {
    State state;
    const char* what;
    bool fault;
};

State first_state(const Scope& scope);
/// The move is over, and Kafka has every write.
bool at_rest(const State& state);
std::vector<Successor> successors(const State& state, const Rules& rules);

} // namespace keyshift::test
