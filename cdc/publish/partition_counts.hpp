#pragma once
/// How many partitions each topic of events had when it was first written to. A key's records stay in order only as long as
/// that does not change, so it is remembered longer than the process that saw it. Any thread.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace keyshift::cdc {

class PartitionCounts {
public:
    using Counts = std::map<std::string, int>;

    std::optional<int> of(const std::string& topic) const
    {
        std::scoped_lock lock(mutex_);
        const auto known = counts_.find(topic);
        return known == counts_.end() ? std::nullopt : std::optional(known->second);
    }
    /// The topic is written to for the first time.
    void note(const std::string& topic, int partitions)
    {
        std::scoped_lock lock(mutex_);
        if (counts_.emplace(topic, partitions).second) {
            unsaved_.emplace(topic, partitions);
        }
    }

    /// What was kept earlier takes the place of what is known, but for what is not kept yet.
    void load(Counts kept)
    {
        std::scoped_lock lock(mutex_);
        counts_ = std::move(kept);
        counts_.insert(unsaved_.begin(), unsaved_.end());
    }
    Counts unsaved() const
    {
        std::scoped_lock lock(mutex_);
        return unsaved_;
    }
    void saved(const Counts& kept)
    {
        std::scoped_lock lock(mutex_);
        for (const auto& [topic, partitions] : kept) {
            unsaved_.erase(topic);
        }
    }

private:
    mutable std::mutex mutex_;
    Counts counts_;  ///< guarded by mutex_
    Counts unsaved_; ///< guarded by mutex_
};

} // namespace keyshift::cdc
