#include "cdc/publish/transaction_lanes.hpp"

#include "core/error.hpp"
#include "core/failpoint.hpp"

#include <fmt/core.h>

#include <utility>

namespace keyshift::cdc {

namespace {

using namespace std::chrono_literals;

// Small enough for the latency of a single event; under load librdkafka's batches fill by themselves.
constexpr auto kLinger = 2ms;
constexpr auto kNudge = 1ms;
constexpr auto kCommitSlice = 500ms;

} // namespace

TransactionLanes::TransactionLanes(const kafka::Settings& settings, const std::string& client_id, const std::string& id,
                                   std::size_t queue_bytes, kafka::Producer::OnDelivery on_delivery,
                                   std::function<void()> on_news)
    : on_news_(std::move(on_news))
{
    for (std::size_t number = 0; number < lanes_.size(); ++number) {
        lanes_.at(number) = std::make_unique<kafka::Producer>(settings, client_id, queue_bytes, kLinger, on_delivery,
                                                              fmt::format("{}-{}", id, number));
        lanes_.at(number)->notify(on_news_);
    }
    thread_ = std::jthread([this](std::stop_token stop) { commit_loop(stop); });
}

TransactionLanes::~TransactionLanes() = default;

bool TransactionLanes::take_over(std::chrono::milliseconds wait)
{
    for (; number_ < lanes_.size(); ++number_) {
        if (!current().init_transactions(wait)) {
            return false;
        }
    }
    number_ = 0;
    return true;
}

bool TransactionLanes::try_produce(const kafka::Record& record)
{
    if (closing_) {
        return false;
    }
    if (!topics_.contains(record.topic)) {
        const std::string topic(record.topic);
        for (const auto& lane : lanes_) {
            lane->learn(topic);
        }
        topics_.insert(topic);
    }
    if (!open_) {
        current().begin_transaction();
        open_ = true;
        opened_at_ = produced_at_ = Clock::now();
    }
    if (!current().try_produce(record)) {
        return false;
    }
    produced_ = true;
    return true;
}

void TransactionLanes::close(std::uint64_t marker)
{
    closing_ = true;
    marker_ = marker;
}

void TransactionLanes::turn(bool hurry)
{
    if (std::exchange(produced_, false)) {
        produced_at_ = Clock::now();
    }
    kafka::Producer& lane = current();
    if (open_ && (hurry || closing_) && lane.queued_records() > 0) {
        // Sends without lingering; serves deliveries like poll.
        lane.flush(kNudge);
    }
    for (const auto& each : lanes_) {
        while (each->poll(0ms) > 0) {
        }
        each->check();
    }
    if (closing_ && delivered() && !committing()) {
        start_commit();
    }
}

void TransactionLanes::start_commit()
{
    {
        std::scoped_lock lock(mutex_);
        commit_ = Commit::wanted;
        committer_ = lanes_.at(number_).get();
        committing_marker_ = marker_;
    }
    changed_.notify_all();
    open_ = closing_ = false;
    number_ = (number_ + 1) % lanes_.size();
}

bool TransactionLanes::committing() const
{
    std::scoped_lock lock(mutex_);
    return commit_ != Commit::none;
}

std::optional<std::uint64_t> TransactionLanes::take_committed()
{
    std::scoped_lock lock(mutex_);
    if (commit_ == Commit::failed) {
        std::rethrow_exception(commit_error_);
    }
    if (commit_ != Commit::done) {
        return std::nullopt;
    }
    commit_ = Commit::none;
    return committing_marker_;
}

void TransactionLanes::commit_loop(std::stop_token stop)
{
    while (true) {
        kafka::Producer* lane = nullptr;
        {
            std::unique_lock lock(mutex_);
            if (!changed_.wait(lock, stop, [this] { return commit_ == Commit::wanted; })) {
                return;
            }
            lane = committer_;
        }
        Commit result = Commit::done;
        std::exception_ptr error;
        try {
            failpoint("cdc.commit");
            while (!lane->commit_transaction(kCommitSlice)) {
                if (stop.stop_requested()) {
                    return;
                }
            }
        } catch (...) {
            result = Commit::failed;
            error = std::current_exception();
        }
        {
            std::scoped_lock lock(mutex_);
            commit_ = result;
            commit_error_ = error;
        }
        on_news_();
    }
}

std::string TransactionLanes::broker_error() const
{
    const std::string error = lanes_[0]->broker_error();
    return error.empty() ? error : lanes_[1]->broker_error();
}

} // namespace keyshift::cdc
