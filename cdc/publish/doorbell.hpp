#pragma once
/// Wakes one thread that has nothing to do. Ringing is one atomic read while the sleeper is awake.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace keyshift::cdc {

class Doorbell {
public:
    /// Any thread, after what it announces has been made visible.
    void ring()
    {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (!rung_.load(std::memory_order_relaxed)) {
            std::scoped_lock lock(mutex_);
            rung_.store(true, std::memory_order_relaxed);
            rung_changed_.notify_one();
        }
    }
    /// Before one looks for work: from here on ring() is not lost.
    void listen()
    {
        rung_.store(false, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    /// Until somebody rang after listen().
    void wait(std::chrono::milliseconds most)
    {
        std::unique_lock lock(mutex_);
        rung_changed_.wait_for(lock, most, [this] { return rung_.load(std::memory_order_relaxed); });
    }

private:
    std::atomic<bool> rung_ = false;
    std::mutex mutex_;
    std::condition_variable rung_changed_;
};

} // namespace keyshift::cdc
