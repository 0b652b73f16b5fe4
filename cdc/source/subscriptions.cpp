#include "cdc/source/subscriptions.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <unistd.h>

namespace keyshift::cdc {

namespace {

/// Longest wait for the stream's next transaction boundary, or for it to go back.
constexpr std::chrono::seconds kAnswerLimit{30};

} // namespace

/// What the mover holds: ends the subscription when it goes.
class Subscriptions::Handle : public Subscription {
public:
    Handle(Subscriptions& owner, std::shared_ptr<StreamSubscription> shared) : owner_(owner), shared_(std::move(shared))
    {
    }
    ~Handle() override
    {
        std::scoped_lock lock(owner_.mutex_);
        if (std::erase(owner_.all_, shared_) != 0) {
            owner_.departed_.push_back({shared_->confirmed(), owner_.last_reading_});
        }
        owner_.attention_ = true;
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    std::optional<SubscriptionItem> next(std::chrono::milliseconds wait, std::stop_token stop) override
    {
        return shared_->next(wait, stop);
    }
    void confirm(Lsn end_lsn) override { shared_->confirm(end_lsn); }
    bool rest_is_in(const SnapshotFilter& snapshot) const override { return shared_->rest_is_in(snapshot); }
    Lsn received() const override { return shared_->received(); }
    Lsn begin() const override { return shared_->begin(); }

private:
    Subscriptions& owner_;
    std::shared_ptr<StreamSubscription> shared_;
};

Subscriptions::Subscriptions(std::size_t memory_limit, std::string spool_directory, int wake_fd)
    : memory_limit_(memory_limit), spool_directory_(std::move(spool_directory)), wake_fd_(wake_fd)
{
}

std::unique_ptr<Subscription> Subscriptions::subscribe(const StreamSubscription::Subject& subject,
                                                       std::optional<Lsn> from)
{
    const auto request = std::make_shared<Request>();
    request->subject = subject;
    request->from = from;
    std::unique_lock lock(mutex_);
    requests_.push_back(request);
    attention_ = true;
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);
    changed_.wait_for(lock, kAnswerLimit, [&] { return request->answer || request->refused || stopped_; });
    std::erase(requests_, request);
    if (request->answer) {
        return std::make_unique<Handle>(*this, request->answer);
    }
    const std::string what = fmt::format("subscribing move {} to the change stream", subject.move);
    if (request->refused) {
        throw FatalError({what, request->refused->why, request->refused->next});
    }
    throw TransientError({what, stopped_ ? stopped_->why : "the stream did not reach a transaction boundary in time",
                          "It is tried again; `keyshift cdc status` shows what the stream waits for."});
}

void Subscriptions::session_started(Lsn start)
{
    session_start_ = start;
    answer_all(start);
}

void Subscriptions::at_boundary(Lsn position)
{
    if (attention_.exchange(false)) {
        answer_all(position);
    }
}

void Subscriptions::answer_all(Lsn position)
{
    std::scoped_lock lock(mutex_);
    restart_wanted_ = false;
    for (const std::shared_ptr<Request>& request : requests_) {
        if (!request->answer && !request->refused) {
            answer(*request, position);
        }
    }
    active_ = all_;
    changed_.notify_all();
}

void Subscriptions::answer(Request& request, Lsn position)
{
    if (request.from && *request.from < session_start_) {
        request.refused = {"",
                           fmt::format("its position {} is older than what the replication slot still holds ({})",
                                       request.from->to_string(), session_start_.to_string()),
                           "Cancel the move and start it anew."};
        return;
    }
    if (request.from && *request.from < position) {
        restart_wanted_ = true;
        return;
    }
    const Lsn begin = request.from.value_or(position);
    request.answer =
        std::make_shared<StreamSubscription>(request.subject, begin, delivered_.all(), memory_limit_, spool_directory_);
    all_.push_back(request.answer);
}

void Subscriptions::begin_transaction(Lsn commit_lsn, std::uint32_t xid)
{
    delivered_.add(xid);
    wants_.assign(active_.size(), false);
    for (std::size_t i = 0; i < active_.size(); ++i) {
        wants_[i] = !active_[i]->has(commit_lsn);
    }
}

void Subscriptions::feed(const Change& change, const std::string& group, BucketId bucket)
{
    for (std::size_t i = 0; i < active_.size(); ++i) {
        const StreamSubscription::Subject& subject = active_[i]->subject();
        if (wants_[i] && subject.bucket == bucket && subject.group == group) {
            active_[i]->feed(change);
        }
    }
}

void Subscriptions::barrier(std::int64_t move, const BarrierSeen& barrier)
{
    for (std::size_t i = 0; i < active_.size(); ++i) {
        if (wants_[i] && active_[i]->subject().move == move) {
            active_[i]->feed(barrier);
        }
    }
}

void Subscriptions::end_transaction(const TransactionEnd& end)
{
    for (std::size_t i = 0; i < active_.size(); ++i) {
        if (wants_[i]) {
            active_[i]->end_transaction(end);
        }
    }
}

void Subscriptions::advance(Lsn lsn)
{
    for (const auto& subscription : active_) {
        subscription->advance(lsn);
    }
}

void Subscriptions::break_transaction()
{
    for (const auto& subscription : active_) {
        subscription->break_transaction();
    }
}

void Subscriptions::stop(const ErrorParts& why)
{
    std::scoped_lock lock(mutex_);
    stopped_ = why;
    for (const auto& subscription : all_) {
        subscription->close(why);
    }
    all_.clear();
    active_.clear();
    changed_.notify_all();
}

void Subscriptions::start()
{
    std::scoped_lock lock(mutex_);
    stopped_.reset();
}

std::optional<Lsn> Subscriptions::hold(const std::vector<UnfinishedMove>& unfinished, std::uint64_t reading)
{
    std::scoped_lock lock(mutex_);
    last_reading_ = reading;
    std::erase_if(departed_, [&](const Departed& departed) { return departed.reading + 2 <= reading; });
    std::optional<Lsn> least;
    const auto keep = [&](Lsn lsn) {
        least = least ? std::min(*least, lsn) : lsn;
    };
    for (const auto& subscription : all_) {
        keep(subscription->confirmed());
    }
    for (const Departed& departed : departed_) {
        keep(departed.position);
    }
    for (const auto& request : requests_) {
        if (request->from && !request->answer && !request->refused) {
            keep(*request->from);
        }
    }
    for (const UnfinishedMove& move : unfinished) {
        const bool subscribed = std::ranges::any_of(
            all_, [&](const auto& subscription) { return subscription->subject().move == move.move; });
        if (!subscribed) {
            keep(move.position);
        }
    }
    return least;
}

} // namespace keyshift::cdc
