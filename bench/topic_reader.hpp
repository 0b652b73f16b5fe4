#pragma once
/// What has come to a topic, by the broker's own clock.

#include "demo/settings.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace keyshift::bench {

/// Made before anything writes to it, so that records have the time at which the broker took them.
void make_topic(const demo::Settings& settings, const std::string& topic);

/// Records since this was made or skipped to the end.
class TopicReader {
public:
    TopicReader(const demo::Settings& settings, std::string topic);

    struct Arrived {
        long long records = 0;
        std::int64_t first_ms = 0;
        std::int64_t last_ms = 0;
        double seconds() const { return static_cast<double>(last_ms - first_ms) / 1000; }
    };
    /// Waits until at least so many have come (a topic written in transactions also has their ends), and no more come.
    void wait(long long records, int limit_seconds);
    /// Reads what there is. The next call begins behind it.
    Arrived take(long long records);

private:
    long long end() const;

    const demo::Settings& settings_;
    std::string topic_;
    long long from_ = 0;
    std::vector<std::int64_t> next_; ///< by partition
};

} // namespace keyshift::bench
