#include "cdc/source/stream_subscription.hpp"

#include "core/error.hpp"

namespace keyshift::cdc {

StreamSubscription::StreamSubscription(Subject subject, Lsn begin, std::vector<std::uint32_t> delivered,
                                       std::size_t memory_limit, const std::string& spool_directory)
    : subject_(std::move(subject)), begin_(begin), delivered_(std::move(delivered)),
      queue_(memory_limit, spool_directory), confirmed_(begin.value), received_(begin.value)
{
}

void StreamSubscription::feed(const Change& change)
{
    queue_.append(codec_.encode(change));
    fed_changes_ = true;
}

void StreamSubscription::feed(const BarrierSeen& barrier)
{
    queue_.append(codec_.encode(barrier));
}

void StreamSubscription::end_transaction(const TransactionEnd& end)
{
    if (fed_changes_) {
        queue_.append(codec_.encode(end));
        fed_changes_ = false;
    }
    queue_.publish();
    advance(end.end_lsn);
}

void StreamSubscription::break_transaction()
{
    queue_.discard();
    fed_changes_ = false;
}

void StreamSubscription::advance(Lsn lsn)
{
    if (lsn > received()) {
        received_.store(lsn.value);
    }
}

void StreamSubscription::close(ErrorParts why)
{
    {
        std::scoped_lock lock(mutex_);
        closed_because_ = std::move(why);
    }
    queue_.close();
}

std::optional<SubscriptionItem> StreamSubscription::next(std::chrono::milliseconds wait, std::stop_token stop)
{
    while (true) {
        const std::optional<std::string> record = queue_.pop(wait, stop);
        if (!record) {
            if (queue_.closed()) {
                std::scoped_lock lock(mutex_);
                throw TransientError(closed_because_);
            }
            return std::nullopt;
        }
        CodedItem item = codec_.decode(*record);
        if (auto* change = std::get_if<OwnedChange>(&item)) {
            changes_.push_back(std::move(*change));
        } else if (auto* end = std::get_if<TransactionEnd>(&item)) {
            return OwnedTransaction{end->commit_lsn, end->end_lsn, end->xid, std::exchange(changes_, {})};
        } else {
            return std::get<BarrierSeen>(std::move(item));
        }
    }
}

void StreamSubscription::confirm(Lsn end_lsn)
{
    std::vector<std::uint32_t>().swap(delivered_);
    if (end_lsn > confirmed()) {
        confirmed_.store(end_lsn.value);
    }
}

} // namespace keyshift::cdc
