#pragma once
/// Which tables are distributed, by which column, which become reference tables and which stay where they are. Pure.

#include "advisor/reach.hpp"
#include "advisor/statistics.hpp"
#include "advisor/workload.hpp"

#include <cstdint>

namespace keyshift::advisor {

// The limits that docs/choosing.md explains.
constexpr double kFewestValues = 64;    ///< of a key: one for each of the buckets that a group has
constexpr double kMostOfOneValue = 0.1; ///< of the rows, those with one value of the key
constexpr std::int64_t kReferenceRows = 1'000'000;
constexpr std::int64_t kReferenceBytes = std::int64_t{256} << 20U;
constexpr std::int64_t kDictionaryRows = 10'000; ///< where no calls are known: of a table that others only look up
constexpr std::int64_t kDictionaryTimes = 100;   ///< and those have as many times its rows
constexpr double kReferenceWrites = 0.01;        ///< of all calls, those that write it
constexpr double kLarge = 0.05;                  ///< of the bytes or calls: a table worth distributing by itself

/// Why a column is unfit to spread rows by; empty: it is fit.
std::string unfit_as_key(const TableStatistics& table, const ColumnStatistics& column);

Placements choose_placements(const DatabaseStatistics& database, const Workload& workload);

} // namespace keyshift::advisor
