#pragma once
/// The change streams of the model: what each node's reader may do next, by the Ownership that ships.

#include "tests/resharder/switch_model.hpp"

#include <vector>

namespace keyshift::test {

struct StreamStep {
    State state;
    const char* what;
    bool fault;
};

std::vector<StreamStep> stream_steps(const State& state, const Rules& rules);

/// Item `at` of a WAL begins here; an item's commit record is where the next one begins.
constexpr Lsn lsn_at(std::uint8_t at)
{
    return {16ULL * at};
}

/// The move of the model.
const resharder::BucketMove& model_move();
std::uint8_t writes(const Wal& wal);
/// A bit for each.
std::uint8_t all_writes(const Wal& wal);

} // namespace keyshift::test
