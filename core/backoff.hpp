#pragma once
/// Waiting between tries: doubles from `first` to `most`, with a random part of a quarter, and ends at once on stop.

#include <chrono>
#include <stop_token>

namespace keyshift {

class Backoff {
public:
    Backoff(std::chrono::milliseconds first, std::chrono::milliseconds most) : first_(first), most_(most), next_(first)
    {
    }

    /// False: stop was requested while waiting.
    bool wait(std::stop_token stop);
    void reset() { next_ = first_; }

private:
    std::chrono::milliseconds first_;
    std::chrono::milliseconds most_;
    std::chrono::milliseconds next_;
};

/// Sleeps, or returns false at once when stop is requested.
bool sleep_for(std::chrono::milliseconds time, std::stop_token stop);

} // namespace keyshift
