#pragma once
/// The rules by which a projection is kept: as they ship, until a test breaks one. Those that are C++ are the functions that
/// ship; those that are in SQL (upsert_statement, progress_statement) are written here once more, and
/// ModelOfStatements.* holds them against the server.

#include "projections/stored_positions.hpp"
#include "projections/write_order.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace keyshift::test {

struct Rules {
    /// WHERE of ON CONFLICT DO UPDATE.
    bool (*takes)(const SourcePosition& stored, const SourcePosition& incoming) = [](const SourcePosition& stored,
                                                                                     const SourcePosition& incoming) {
        return stored < incoming;
    };
    /// WHERE of the progress.
    bool (*is_owner)(std::int64_t stored, std::int64_t writer) = [](std::int64_t stored, std::int64_t writer) {
        return stored == writer;
    };
    decltype(&projections::newest_of_each) newest_of_each = &projections::newest_of_each;
    decltype(&projections::position_of) position_of = &projections::position_of;
    std::int64_t (*next_owner_epoch)(std::int64_t highest, std::int64_t id) = &projections::next_owner_epoch;
    bool keeps_tombstones = true;
    bool old_key_leaves = true; ///< an event that changes the key says so of the old one
    bool tells_behind = true;   ///< a node hears of a batch once every node has its part; false: with its own part
    bool keeps_the_tail = true; ///< rows are as durable as what is told behind them
    bool backfill_waits_for_disk = true; ///< its progress is elsewhere
    bool anchors = true;                 ///< every node has progress before the first write
    bool anchors_all = true;             ///< also nodes that were told more
    bool closed_buckets_refuse = true;
    bool refused_are_kept = true;       ///< what a closed bucket refused waits for the new owner
    bool owner_without_progress = true; ///< a transaction without progress asks whose the projection is
    bool start_before_rows = true;      ///< the topic's ends are read before the rows that were there
    bool backfill_is_oldest = true;
    bool repair_is_before_later = true;
    bool truncation_renews = true; ///< a TRUNCATE behind its start begins a generation anew
    // Of groups.
    bool locks_buckets = true;      ///< of two writers of a group the second begins behind the first one's commit
    bool counts_differences = true; ///< what passed the guard less what was there; false: whatever came
};

} // namespace keyshift::test
