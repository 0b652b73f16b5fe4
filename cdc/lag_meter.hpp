#pragma once
/// How long ago the oldest transaction that Kafka does not have yet was committed. Samples commits, so it costs nothing.

#include "core/lsn.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>

namespace keyshift::cdc {

class LagMeter {
public:
    using Clock = std::chrono::system_clock;

    void committed(Lsn end_lsn, std::int64_t commit_time_us)
    {
        constexpr std::int64_t kSampleMicroseconds = 20'000;
        if (samples_.empty() || commit_time_us - samples_.back().commit_time_us >= kSampleMicroseconds) {
            samples_.push_back({end_lsn, commit_time_us});
        } else {
            samples_.back().end_lsn = end_lsn;
        }
    }
    double seconds(Lsn acknowledged, Clock::time_point now)
    {
        while (!samples_.empty() && samples_.front().end_lsn <= acknowledged) {
            samples_.pop_front();
        }
        if (samples_.empty()) {
            return 0;
        }
        const auto now_us = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
        return static_cast<double>(std::max<std::int64_t>(now_us - samples_.front().commit_time_us, 0)) / 1e6;
    }

private:
    struct Sample {
        Lsn end_lsn; ///< of the last transaction in it
        std::int64_t commit_time_us = 0;
    };
    std::deque<Sample> samples_;
};

} // namespace keyshift::cdc
