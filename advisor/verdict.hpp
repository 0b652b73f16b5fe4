#pragma once
/// Whether a database needs more than one machine. Pure. No is the usual answer.

#include "advisor/statistics.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::advisor {

// The limits that docs/choosing.md explains.
constexpr std::int64_t kLargeDatabase =
    1'000'000'000'000;                      ///< bytes: from here on restores, standbys and VACUUM take a day's part
constexpr std::int64_t kTimesMemory = 4;    ///< or as many times the memory, where that is more
constexpr double kManyWrites = 5000;        ///< rows a second, on average
constexpr double kSecondsForRates = 3600;   ///< counters younger than this say nothing of writes
constexpr double kSecondsForGrowth = 86400; ///< nor, younger than this, of growth

struct Verdict {
    bool shard = false;
    std::vector<std::string> why;
    std::optional<double> writes_per_second;
    std::optional<double> growth_per_day; ///< bytes
    double bytes_in_a_year = 0;           ///< as far as the growth is known
    int nodes = 1;
};

/// `nodes`: how many are wanted; nullopt: as many as keep each below half of the limits.
Verdict judge(const DatabaseStatistics& database, std::optional<int> nodes);

} // namespace keyshift::advisor
