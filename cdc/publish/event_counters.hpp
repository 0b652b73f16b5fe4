#pragma once
/// keyshift_cdc_events_total of one node's stream. A series is found by the stream's thread when a record is handed over
/// and counted by the writing thread when it is acknowledged; its number travels with the record.

#include "metrics/families.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::cdc {

class EventCounters {
public:
    using Series = std::uint16_t;
    /// Of tombstones: they belong to the delete before them.
    static constexpr Series kUncounted = 0;

    explicit EventCounters(const metrics::CdcMetrics& metrics) : metrics_(metrics) {}

    Series series(const std::string& table, char op);
    /// Of what went to the dead-letter topic in place of a table's events.
    Series dead_letters(const std::string& table);
    void add(Series series, std::uint64_t count);
    /// So many of all tables. Any thread.
    std::uint64_t dead_letters() const { return dead_letters_; }

private:
    static constexpr std::string_view kOps = "cudrtm";
    struct Counted {
        metrics::Counter counter;
        bool dead = false;
    };
    /// kUncounted: there are too many.
    Series add_series(Counted counted);

    const metrics::CdcMetrics& metrics_;
    using Known = std::map<std::string, std::array<Series, kOps.size()>>;
    Known known_;                              ///< stream's thread
    Known::iterator last_ = known_.end();      ///< stream's thread; events mostly come table by table
    std::map<std::string, Series> known_dead_; ///< stream's thread
    std::atomic<std::uint64_t> dead_letters_ = 0;
    std::mutex mutex_;
    std::vector<Counted> counted_; ///< guarded by mutex_; of series 1, 2, ...
};

} // namespace keyshift::cdc
