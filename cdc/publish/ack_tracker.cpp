#include "cdc/publish/ack_tracker.hpp"

#include <algorithm>

namespace keyshift::cdc {

std::uint64_t AckTracker::hand_over(std::size_t bytes)
{
    std::scoped_lock lock(mutex_);
    if (runs_.empty() || runs_.back().end != Lsn{}) {
        runs_.push_back({next_token_, 0, {}});
    }
    ++runs_.back().pending;
    sizes_.push_back(static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX)));
    pending_bytes_ += sizes_.back();
    return next_token_++;
}

void AckTracker::acknowledge(std::uint64_t token)
{
    std::scoped_lock lock(mutex_);
    const auto after = std::upper_bound(runs_.begin(), runs_.end(), token, [](std::uint64_t value, const Run& run) { return value < run.first_token; });
    if (after == runs_.begin()) {
        return;
    }
    --std::prev(after)->pending;
    pending_bytes_ -= sizes_[token - first_size_];
    forget_finished();
}

void AckTracker::reached(Lsn lsn)
{
    std::scoped_lock lock(mutex_);
    if (!runs_.empty() && runs_.back().end <= lsn) {
        // A closed run is extended too: nothing was handed over since.
        runs_.back().end = lsn;
    } else if (runs_.empty() && lsn > acknowledged_) {
        acknowledged_ = lsn;
        changed_.notify_all();
    }
    forget_finished();
}

void AckTracker::forget_finished()
{
    bool moved = false;
    while (!runs_.empty() && runs_.front().pending == 0 && runs_.front().end != Lsn{}) {
        acknowledged_ = std::max(acknowledged_, runs_.front().end);
        runs_.pop_front();
        moved = true;
    }
    const std::uint64_t keep = runs_.empty() ? next_token_ : runs_.front().first_token;
    for (; first_size_ < keep; ++first_size_) {
        sizes_.pop_front();
    }
    if (moved) {
        changed_.notify_all();
    }
}

Lsn AckTracker::acknowledged() const
{
    std::scoped_lock lock(mutex_);
    return acknowledged_;
}

std::size_t AckTracker::pending_bytes() const
{
    std::scoped_lock lock(mutex_);
    return pending_bytes_;
}

bool AckTracker::wait(Lsn lsn, std::chrono::milliseconds wait) const
{
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, wait, [&] { return acknowledged_ >= lsn; });
}

} // namespace keyshift::cdc
