#include "cdc/publish/ack_tracker.hpp"

#include <algorithm>

namespace keyshift::cdc {

void AckTracker::acknowledge_below(std::uint64_t token)
{
    std::scoped_lock lock(mutex_);
    first_ = std::max(first_, token);
    pass_boundaries();
}

void AckTracker::reached(Lsn lsn)
{
    std::scoped_lock lock(mutex_);
    const std::uint64_t token = next_token();
    if (!boundaries_.empty() && boundaries_.back().token == token) {
        boundaries_.back().lsn = std::max(boundaries_.back().lsn, lsn);
    } else {
        boundaries_.push_back({token, lsn});
    }
    pass_boundaries();
}

void AckTracker::pass_boundaries()
{
    bool moved = false;
    for (; !boundaries_.empty() && boundaries_.front().token <= first_; boundaries_.pop_front()) {
        moved = moved || boundaries_.front().lsn > acknowledged_;
        acknowledged_ = std::max(acknowledged_, boundaries_.front().lsn);
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

std::uint64_t AckTracker::first_pending() const
{
    std::scoped_lock lock(mutex_);
    return first_;
}

bool AckTracker::wait(Lsn lsn, std::chrono::milliseconds wait) const
{
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, wait, [&] { return acknowledged_ >= lsn; });
}

} // namespace keyshift::cdc
