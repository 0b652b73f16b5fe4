#include "cdc/source/ownership.hpp"

#include <algorithm>

namespace keyshift::cdc {

BucketOwnership::Answer BucketOwnership::at(Lsn commit_lsn) const
{
    if (undecided_from_ && commit_lsn >= *undecided_from_) {
        return {Verdict::undecided, {}};
    }
    // A bucket that is split goes on here in the next epoch: the later interval ends the one before.
    const Interval* last = nullptr;
    for (const Interval& interval : intervals_) {
        if (interval.open <= commit_lsn && (last == nullptr || last->epoch < interval.epoch)) {
            last = &interval;
        }
    }
    if (last == nullptr || (last->fence && commit_lsn >= *last->fence)) {
        return {};
    }
    return {last->fenced_in_catalog ? Verdict::drop : Verdict::publish, last->epoch};
}

void Ownership::load(const std::vector<OwnedInterval>& history)
{
    for (const OwnedInterval& row : history) {
        auto& intervals = buckets_[key_of(row.group, row.bucket)].intervals_;
        auto same = std::ranges::find(intervals, row.epoch, &BucketOwnership::Interval::epoch);
        if (same == intervals.end()) {
            same = intervals.insert(same, {row.epoch, row.open, {}, true, false});
        }
        same->open = row.open;
        same->in_catalog = true;
        if (row.fence) {
            same->fence = row.fence;
            same->fenced_in_catalog = true;
        }
    }
    settle();
}

const BucketOwnership& Ownership::bucket(const std::string& group, BucketId bucket)
{
    return buckets_[key_of(group, bucket)];
}

bool Ownership::announce(const PlacementMessage& message, Lsn commit_lsn)
{
    if (held(message)) {
        return false;
    }
    if (std::ranges::find(waiting_, message, &Waiting::message) == waiting_.end()) {
        waiting_.push_back({message, commit_lsn, false});
        settle();
    }
    return true;
}

void Ownership::accept(const PlacementMessage& message)
{
    auto& intervals = buckets_[key_of(message.group, message.bucket)].intervals_;
    if (message.kind == PlacementMessage::Kind::open) {
        if (std::ranges::find(intervals, message.epoch, &BucketOwnership::Interval::epoch) == intervals.end()) {
            intervals.push_back({message.epoch, message.lsn, {}, false, false});
        }
    } else {
        for (auto& interval : intervals) {
            if (!interval.fence && interval.open <= message.lsn && interval.epoch < message.epoch) {
                interval.fence = message.lsn;
            }
        }
    }
    for (Waiting& waiting : waiting_) {
        waiting.accepted = waiting.accepted || waiting.message == message;
    }
    settle();
}

void Ownership::reject(const PlacementMessage& message)
{
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.message == message; });
    settle();
}

std::optional<Lsn> Ownership::hold() const
{
    const auto oldest = std::ranges::min_element(waiting_, {}, &Waiting::commit_lsn);
    return oldest == waiting_.end() ? std::nullopt : std::optional(oldest->commit_lsn);
}

bool Ownership::held(const PlacementMessage& message) const
{
    const auto found = buckets_.find(key_of(message.group, message.bucket));
    if (found == buckets_.end()) {
        return false;
    }
    return std::ranges::any_of(found->second.intervals_, [&](const BucketOwnership::Interval& interval) {
        if (message.kind == PlacementMessage::Kind::open) {
            return interval.in_catalog && interval.epoch == message.epoch;
        }
        return interval.fenced_in_catalog && number(interval.epoch) + 1 == number(message.epoch);
    });
}

void Ownership::settle()
{
    std::erase_if(waiting_, [this](const Waiting& waiting) { return held(waiting.message); });
    for (auto& [key, bucket] : buckets_) {
        bucket.undecided_from_.reset();
    }
    for (const Waiting& waiting : waiting_) {
        std::optional<Lsn>& from = buckets_[key_of(waiting.message.group, waiting.message.bucket)].undecided_from_;
        if (!waiting.accepted && (!from || waiting.commit_lsn < *from)) {
            from = waiting.commit_lsn;
        }
    }
}

} // namespace keyshift::cdc
