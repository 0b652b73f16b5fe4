#pragma once
/// The last transactions that a stream has handed on, by xid: so that a snapshot can be asked whether it lacks one of them
/// (a commit is in the WAL before it is visible; behind a synchronous standby long before). One thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace keyshift::cdc {

class DeliveredTransactions {
public:
    void add(std::uint32_t xid)
    {
        xids_.push_back(xid);
        ++total_;
        if (xids_.size() > kRemembered) {
            xids_.pop_front();
        }
    }
    /// How many were added so far, ever.
    std::uint64_t total() const { return total_; }
    std::vector<std::uint32_t> all() const { return {xids_.begin(), xids_.end()}; }
    /// Of a node that has become another server, where all that is in the WAL is visible, and what is not will never be.
    void forget() { xids_.clear(); }
    /// True when `matches` holds for one of the remembered transactions among the first `count` ever added.
    template <typename Predicate>
    bool any_of_first(std::uint64_t count, Predicate matches) const
    {
        std::uint64_t index = total_ - xids_.size();
        for (const std::uint32_t xid : xids_) {
            if (index++ >= count) {
                return false;
            }
            if (matches(xid)) {
                return true;
            }
        }
        return false;
    }

private:
    static constexpr std::size_t kRemembered = 20'000;
    std::deque<std::uint32_t> xids_;
    std::uint64_t total_ = 0;
};

} // namespace keyshift::cdc
