#include "core/backoff.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>

namespace keyshift {

bool sleep_for(std::chrono::milliseconds time, std::stop_token stop)
{
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, time, [&] { return stop.stop_requested(); });
    return !stop.stop_requested();
}

bool Backoff::wait(std::stop_token stop)
{
    thread_local std::minstd_rand random{std::random_device{}()};
    const auto extra = next_.count() / 4;
    const auto time =
        next_ + std::chrono::milliseconds(extra > 0 ? std::uniform_int_distribution<long>(0, extra)(random) : 0);
    next_ = std::min(next_ * 2, most_);
    return sleep_for(time, stop);
}

} // namespace keyshift
