#include "cdc/publish/size_limits.hpp"

#include <algorithm>

namespace keyshift::cdc {

namespace {

// What is divided by this a few times is one record a batch.
constexpr std::size_t kShrink = 8;

} // namespace

void SizeLimits::refused(std::string_view topic, std::size_t bytes)
{
    std::scoped_lock lock(mutex_);
    if (!refusal_) {
        refusal_.emplace(topic, bytes);
    }
}

std::size_t SizeLimits::settle(const std::function<std::size_t(const std::string&)>& topic_limit)
{
    std::optional<std::pair<std::string, std::size_t>> refusal;
    {
        std::scoped_lock lock(mutex_);
        refusal.swap(refusal_);
    }
    const std::size_t limit = refusal ? topic_limit(refusal->first) : 0;
    std::scoped_lock lock(mutex_);
    if (!refusal) {
        return batch_bytes_;
    }
    const bool known = limit > 0;
    if (known && limit < batch_bytes_) {
        batch_bytes_ = limit;
    } else if (!known || refusal->second <= limit) {
        if (batch_bytes_ > 1) {
            batch_bytes_ = std::max<std::size_t>(batch_bytes_ / kShrink, 1);
        } else {
            topics_[refusal->first] = refusal->second > 0 ? refusal->second - 1 : 0;
        }
    }
    return batch_bytes_;
}

std::optional<std::size_t> SizeLimits::of(std::string_view topic) const
{
    std::scoped_lock lock(mutex_);
    const auto found = topics_.find(topic);
    return found == topics_.end() ? std::nullopt : std::optional(found->second);
}

void SizeLimits::forget()
{
    std::scoped_lock lock(mutex_);
    batch_bytes_ = most_;
    topics_.clear();
}

} // namespace keyshift::cdc
