#pragma once
/// One row of keyshift.move and the tables that it carries, as the steps see them.

#include "core/ids.hpp"
#include "core/lsn.hpp"
#include "core/names.hpp"
#include "resharder/move_state.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::resharder {

struct BucketMove {
    std::int64_t id = 0;
    std::int64_t job = 0;
    std::string group;
    BucketId bucket{};
    std::string donor;
    std::string recipient;
    MoveState state = MoveState::planned;
    Epoch epoch{};     ///< that the switch gives
    std::string token; ///< proves fence and open messages; lets the mover pass the reject triggers
    std::int64_t owner_epoch = 0;
    std::string copy_snapshot; ///< pg_current_snapshot() of the copy: its transactions are not applied again
    std::optional<Lsn> fence_lsn;
    std::optional<Lsn> open_lsn;
    std::optional<double> write_block_ms;
    std::optional<std::int64_t> adopts; ///< the settling move whose frozen copy this one takes over

    /// "bucket 17 of users" for messages.
    std::string subject() const { return "bucket " + std::to_string(number(bucket)) + " of " + group; }
};

struct MoveColumn {
    std::string name;
    std::string type;             ///< format_type with modifier, as the recipient has it
    bool always_identity = false; ///< may be inserted, never updated
};

/// One table of the group: its leaf on both nodes and the copy that grows on the recipient.
struct MoveTable {
    std::int64_t id = 0;
    QualifiedName root;
    QualifiedName leaf;
    QualifiedName staging;
    std::vector<std::string> key;         ///< shard key
    std::vector<MoveColumn> columns;      ///< writable ones, in the recipient's order
    std::vector<std::string> primary_key; ///< in key order
};

} // namespace keyshift::resharder
