#include "advisor/verdict.hpp"

#include "core/size_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace keyshift::advisor {

namespace {

constexpr double kDay = 86400;

double size_limit(const DatabaseStatistics& database)
{
    return static_cast<double>(std::max(kLargeDatabase, kTimesMemory * database.memory));
}

std::string age_text(double seconds)
{
    return seconds < 2 * kDay ? fmt::format("{:.0f} h", seconds / 3600) : fmt::format("{:.0f} days", seconds / kDay);
}

void read_rates(const DatabaseStatistics& database, Verdict& verdict)
{
    double written = 0;
    double grown = 0;
    for (const auto& [name, table] : database.tables) {
        written += static_cast<double>(table.inserted + table.updated + table.deleted);
        if (table.rows > 0) {
            grown += static_cast<double>(table.inserted - table.deleted) * static_cast<double>(table.bytes) /
                     static_cast<double>(table.rows);
        }
    }
    if (database.seconds >= kSecondsForRates) {
        verdict.writes_per_second = written / database.seconds;
    }
    if (database.seconds >= kSecondsForGrowth) {
        // Rows that were loaded or restored since count as growth; it cannot be more than there is.
        grown = std::clamp(grown, 0.0, static_cast<double>(database.bytes));
        verdict.growth_per_day = grown / database.seconds * kDay;
    }
}

void say_size(const DatabaseStatistics& database, Verdict& verdict)
{
    constexpr double kYear = 365;
    const auto now = static_cast<double>(database.bytes);
    const double limit = size_limit(database);
    verdict.bytes_in_a_year = now + kYear * verdict.growth_per_day.value_or(0);
    const std::string growth =
        verdict.growth_per_day
            ? fmt::format("grows by {} a day (over {}), so has {} in a year", size_words(*verdict.growth_per_day),
                          age_text(database.seconds), size_words(verdict.bytes_in_a_year))
            : fmt::format("growth is not known: its counters are {} old, ask again when they are a day",
                          age_text(database.seconds));
    const bool large = verdict.bytes_in_a_year >= limit;
    verdict.shard = verdict.shard || large;
    verdict.why.push_back(fmt::format("size: {}, {}; {} {} that one machine holds well", size_words(now), growth,
                                      large ? "at or above the" : "below the", size_words(limit)));
    verdict.why.push_back(
        database.bytes <= database.memory
            ? fmt::format("memory: all of it fits in the {} that the server expects for caching",
                          size_words(static_cast<double>(database.memory)))
            : fmt::format("memory: {:.1f} times the {} that the server expects for caching (effective_cache_size){}",
                          now / static_cast<double>(database.memory), size_words(static_cast<double>(database.memory)),
                          large ? "" : "; where reads are slow, memory costs less than a second machine"));
}

void say_writes(const DatabaseStatistics& database, Verdict& verdict)
{
    if (!verdict.writes_per_second) {
        verdict.why.push_back(
            fmt::format("writes: not known, its counters are {:.0f} min old; ask again when they are an hour",
                        database.seconds / 60));
        return;
    }
    const bool many = *verdict.writes_per_second >= kManyWrites;
    verdict.shard = verdict.shard || many;
    verdict.why.push_back(fmt::format("writes: {}{:.1f} rows a second on average over {}; {} {:.0f}",
                                      database.counted_longer ? "at most " : "", *verdict.writes_per_second,
                                      age_text(database.seconds), many ? "at or above" : "below", kManyWrites));
}

} // namespace

Verdict judge(const DatabaseStatistics& database, std::optional<int> nodes)
{
    Verdict verdict;
    read_rates(database, verdict);
    say_size(database, verdict);
    say_writes(database, verdict);
    const double load =
        std::max(verdict.bytes_in_a_year / size_limit(database), verdict.writes_per_second.value_or(0) / kManyWrites);
    verdict.nodes = nodes.value_or(verdict.shard ? std::max(2, static_cast<int>(std::ceil(2 * load))) : 1);
    return verdict;
}

} // namespace keyshift::advisor
