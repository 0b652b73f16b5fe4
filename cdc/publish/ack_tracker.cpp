#include "cdc/publish/ack_tracker.hpp"

#include <algorithm>

namespace keyshift::cdc {

std::uint64_t AckTracker::hand_over(std::size_t bytes)
{
    std::scoped_lock lock(mutex_);
    records_.push_back({static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX)), false});
    pending_bytes_ += records_.back().bytes;
    return first_ + records_.size() - 1;
}

void AckTracker::acknowledge(std::uint64_t token)
{
    std::scoped_lock lock(mutex_);
    if (token < first_ || token - first_ >= records_.size() || records_[token - first_].acknowledged) {
        return;
    }
    Record& record = records_[token - first_];
    record.acknowledged = true;
    pending_bytes_ -= record.bytes;
    for (; !records_.empty() && records_.front().acknowledged; ++first_) {
        records_.pop_front();
    }
    pass_boundaries();
}

void AckTracker::withdraw(std::uint64_t token)
{
    acknowledge(token);
}

void AckTracker::reached(Lsn lsn)
{
    std::scoped_lock lock(mutex_);
    const std::uint64_t token = first_ + records_.size();
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

std::uint64_t AckTracker::next_token() const
{
    std::scoped_lock lock(mutex_);
    return first_ + records_.size();
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
