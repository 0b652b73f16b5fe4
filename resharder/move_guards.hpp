#pragma once
/// What a move may do, as pure functions: the steps ask them about what they have read under a lock, the model of the
/// protocol (tests/resharder/switch_model.hpp) about every state that it can reach. INV-MOV-1, INV-MOV-2.

#include "core/ids.hpp"
#include "core/lsn.hpp"
#include "resharder/bucket_move.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace keyshift::resharder {

/// A node's row of keyshift.move_progress.
struct MoveProgress {
    std::int64_t owner_epoch = 0;
    std::optional<Lsn> applied;
};

/// A node's row of keyshift.local_bucket.
struct LocalBucket {
    enum class State { open, fenced, closed };
    State state = State::closed;
    Epoch epoch{}; ///< of its last open
    std::int64_t move = 0;
    std::string token;
};

/// Whoever raises the owner epoch on a node: nobody newer was there.
constexpr bool may_take_over(std::int64_t recorded, std::int64_t mine)
{
    return recorded <= mine;
}

/// A transaction of the move on a node: its owner is still the newest (corner 5).
constexpr bool may_act(const std::optional<MoveProgress>& recorded, std::int64_t mine)
{
    return recorded && recorded->owner_epoch == mine;
}

enum class ApplyAnswer { applies, newer_owner, already_open, other_position };

/// One batch of the chain (corner 8): from exactly where the recipient is, and never once it is open.
constexpr ApplyAnswer may_apply(const std::optional<MoveProgress>& recorded, bool open_there, std::int64_t mine,
                                Lsn from)
{
    if (!may_act(recorded, mine)) {
        return ApplyAnswer::newer_owner;
    }
    if (open_there) {
        return ApplyAnswer::already_open;
    }
    return recorded->applied == from ? ApplyAnswer::applies : ApplyAnswer::other_position;
}

/// One batch that keeps the donor's frozen copy current: still this move's, and from exactly where it is. `recorded` is
/// nullopt before the switch is recorded, and for ever once the copy is given up or taken over.
inline bool may_follow(bool fenced_by_move, const std::optional<Lsn>& recorded, Lsn from)
{
    return fenced_by_move && recorded && *recorded == from;
}

/// The recipient has everything that the fence waited for: what it has applied against the barrier on the donor.
constexpr bool covers_fence(std::optional<Lsn> barrier, std::optional<Lsn> applied)
{
    return barrier && applied && *applied >= *barrier;
}

/// Up to where a progress record must be in Kafka before the fence, so that no stream sends an event of the bucket again
/// (ADR 19): the end of the bucket's last change before the barrier. Rows of a snapshot, which come as no change, lie before
/// the barrier.
constexpr Lsn must_be_recorded(Lsn barrier, Lsn last_change, bool rows_under_way)
{
    return rows_under_way ? barrier : last_change;
}

/// The donor's bucket carries the fence of this move. Asked only after the owner epoch was raised there (corner 6).
inline bool is_fenced_by(const LocalBucket& bucket, const BucketMove& move)
{
    return bucket.state == LocalBucket::State::fenced && bucket.move == move.id && bucket.token == move.token;
}

/// The recipient's bucket was opened by this move.
inline bool is_opened_by(const LocalBucket& bucket, const BucketMove& move)
{
    return bucket.state == LocalBucket::State::open && bucket.epoch == move.epoch;
}

enum class WayBack {
    none,         ///< only forward from here
    abort,        ///< what the move made is removed
    record_fence, ///< the fence has landed and is not recorded: forward
};

constexpr WayBack way_back(MoveState state, bool fence_landed)
{
    if (!before_fence(state)) {
        return WayBack::none;
    }
    return state == MoveState::attached && fence_landed ? WayBack::record_fence : WayBack::abort;
}

} // namespace keyshift::resharder
