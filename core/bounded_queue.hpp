#pragma once
/// Where two threads meet: a queue whose limit is in bytes. An empty queue always takes one item, however large, so a
/// row larger than the limit cannot deadlock; otherwise a full queue blocks the producer, which is the back-pressure
/// that in the end reaches PostgreSQL (INV-OPS-1).

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace keyshift {

template <typename T>
class BoundedQueue {
public:
    explicit BoundedQueue(std::size_t limit_bytes) : limit_(limit_bytes) {}

    /// Waits for room. False: stop was requested or the queue is closed, and the item was not taken.
    bool push(T item, std::size_t weight, std::stop_token stop)
    {
        std::unique_lock lock(mutex_);
        const auto has_room = [&] {
            return closed_ || items_.empty() || bytes_ + weight <= limit_;
        };
        if (!changed_.wait(lock, stop, has_room) || closed_) {
            return false;
        }
        items_.emplace_back(std::move(item), weight);
        bytes_ += weight;
        changed_.notify_all();
        return true;
    }

    /// Waits for an item. nullopt: stop was requested, or the queue is closed, and nothing is left.
    std::optional<T> pop(std::stop_token stop)
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [&] { return closed_ || !items_.empty(); });
        return take(lock);
    }

    /// As pop, but waits no longer than `wait`.
    std::optional<T> pop_for(std::chrono::milliseconds wait, std::stop_token stop)
    {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, stop, wait, [&] { return closed_ || !items_.empty(); });
        return take(lock);
    }

    /// As pop, but does not wait.
    std::optional<T> try_pop()
    {
        std::unique_lock lock(mutex_);
        return take(lock);
    }

    /// Nothing more is taken; what is queued can still be popped. Wakes all who wait.
    void close()
    {
        std::scoped_lock lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }

    bool closed() const
    {
        std::scoped_lock lock(mutex_);
        return closed_;
    }

    std::size_t bytes() const
    {
        std::scoped_lock lock(mutex_);
        return bytes_;
    }

private:
    std::optional<T> take(std::unique_lock<std::mutex>&)
    {
        if (items_.empty()) {
            return std::nullopt;
        }
        auto [item, weight] = std::move(items_.front());
        items_.pop_front();
        bytes_ -= weight;
        changed_.notify_all();
        return std::move(item);
    }

    const std::size_t limit_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<std::pair<T, std::size_t>> items_;
    std::size_t bytes_ = 0;
    bool closed_ = false;
};

} // namespace keyshift
