#pragma once
/// What a projection really lacks or has too much of, told apart from what is still on its way.

#include "projections/commands/comparison.hpp"
#include "projections/commands/settled_rows.hpp"
#include "projections/commands/verdict.hpp"

#include <map>
#include <stop_token>

namespace keyshift::projections {

using Verdicts = std::map<RowKey, Verdict>;

/// What to do while nobody moves the projection on: compare what stands still, or throw TransientError.
enum class Stalled { compare, refuse };

/// Rows that differ. While the projection runs each was compared at one place of its history, so none of them is a row in
/// flight; while nobody moves it on, whatever differs and stays the same.
Verdicts lasting_differences(Comparison& comparison, SettledRows& settled, const Definition& definition,
                             Stalled stalled, std::stop_token stop);

} // namespace keyshift::projections
