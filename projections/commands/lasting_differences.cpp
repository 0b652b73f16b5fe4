#include "projections/commands/lasting_differences.hpp"

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "projections/rejection_log.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;

// Rows that are read under their locks, and looked up in the projection, at a time.
constexpr std::size_t kPiece = 1000;

/// What differs in both, the later look's hashes.
Differences in_both(const Differences& earlier, const Differences& later)
{
    Differences both;
    for (const auto& [key, hashes] : later) {
        if (earlier.contains(key)) {
            both[key] = hashes;
        }
    }
    return both;
}

Verdict verdict_of(const std::pair<std::string, std::string>& hashes)
{
    return hashes.second.empty() ? Verdict::missing : hashes.first.empty() ? Verdict::extra : Verdict::different;
}

/// Nobody moves the projection on, so there is no place of the history to compare at: what stays the same for a while.
Verdicts standing_still(Comparison& comparison, Differences different, std::stop_token stop)
{
    constexpr int kLooks = 20;
    constexpr int kSame = 3;
    for (int look = 0, same = 0; look < kLooks && same < kSame && !different.empty(); ++look) {
        if (!sleep_for(500ms, stop)) {
            break;
        }
        Differences still = in_both(different, comparison.differences());
        same = still == different ? same + 1 : 0;
        different = std::move(still);
    }
    Verdicts verdicts;
    for (const auto& [row, hashes] : different) {
        verdicts[row] = verdict_of(hashes);
    }
    return verdicts;
}

/// A row that the definition cannot be evaluated for is rejected when the projection comes to it.
Differences first_look(Comparison& comparison, const std::stop_token& stop)
{
    constexpr int kTries = 5;
    for (int tries = 1;; ++tries) {
        try {
            return comparison.differences();
        } catch (const pg::SqlError& error) {
            if (!blames_the_row(error.sqlstate()) || tries == kTries || !comparison.wait_until_shown(stop)) {
                throw;
            }
        }
    }
}

/// nullopt: the projection stopped moving. Rows whose later changes kept passing are rewritten by each of them.
std::optional<Verdicts> judge_piece(Comparison& comparison, SettledRows& settled, const Definition& definition,
                                    std::vector<RowKey> rows, const std::stop_token& stop)
{
    constexpr int kTries = 10;
    Verdicts verdicts;
    for (int tries = 0; tries < kTries && !rows.empty(); ++tries) {
        const std::vector<SettledRow> read = settled.read(rows, stop);
        if (!comparison.wait_until_shown(stop)) {
            return std::nullopt;
        }
        const Registers held = comparison.registers(rows);
        rows.clear();
        for (const SettledRow& row : read) {
            const Verdict verdict = judge(definition, row, registers_of(held, row.row));
            if (verdict == Verdict::newer) {
                rows.push_back(row.row);
            } else if (verdict != Verdict::equal) {
                verdicts[row.row] = verdict;
            }
        }
    }
    return verdicts;
}

} // namespace

Verdicts lasting_differences(Comparison& comparison, SettledRows& settled, const Definition& definition,
                             Stalled stalled, std::stop_token stop)
{
    Differences different = first_look(comparison, stop);
    if (different.empty()) {
        return {};
    }
    const auto stand_still = [&] {
        if (stalled == Stalled::refuse) {
            throw TransientError(
                {"verifying projection " + definition.name, "it does not move on", "It is tried again."});
        }
        return standing_still(comparison, std::move(different), stop);
    };
    if (!comparison.wait_until_shown(stop)) {
        return stand_still();
    }
    different = in_both(different, first_look(comparison, stop));
    Verdicts verdicts;
    std::vector<RowKey> piece;
    for (auto at = different.begin(); at != different.end();) {
        piece.push_back(at->first);
        ++at;
        if (piece.size() < kPiece && at != different.end()) {
            continue;
        }
        auto judged = judge_piece(comparison, settled, definition, std::exchange(piece, {}), stop);
        if (!judged) {
            return stand_still();
        }
        verdicts.merge(*judged);
    }
    return verdicts;
}

} // namespace keyshift::projections
