#pragma once
/// One node's records into Kafka's transactions, so that the broker can refuse an older producer of the same stream.
///
///   lane 0:  | records ........ | commit  |              | records ....
///   lane 1:                     | records ........ | commit  |
///
/// Two producers with a transactional.id each are used in turn: a commit, and the ~20 ms for which the broker takes no
/// further transaction of that id, never make the stream wait. A lane's records are sent after all of the other lane's are in
/// the topics, so order per key holds; a transaction is committed after the one before it.
/// One thread, but for queued() and broker_error().

#include "core/kafka/client.hpp"

#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

namespace keyshift::cdc {

class TransactionLanes {
public:
    using Clock = std::chrono::steady_clock;

    /// The ids are `<id>-0` and `<id>-1`. `on_news` is called on any thread when turn() has something to do.
    TransactionLanes(const kafka::Settings& settings, const std::string& client_id, const std::string& id,
                     std::size_t queue_bytes, kafka::Producer::OnDelivery on_delivery, std::function<void()> on_news);
    ~TransactionLanes();

    /// Shuts older producers of this stream out, at the broker. False: not done within `wait`, call it again.
    bool take_over(std::chrono::milliseconds wait);

    /// Opens a transaction where none is open. False: no room now, or the transaction is being closed.
    bool try_produce(const kafka::Record& record);
    /// The open transaction takes no more records and is committed once all of it is delivered. `marker` comes back from
    /// take_committed().
    void close(std::uint64_t marker);
    /// Serves deliveries and moves on; `hurry`: send without lingering. Throws what ends these producers.
    void turn(bool hurry);
    /// The marker of the transaction that has been committed since the last call.
    std::optional<std::uint64_t> take_committed();

    bool open() const { return open_; }
    bool closing() const { return closing_; }
    /// Nothing of the open transaction is on its way.
    bool delivered() const { return current().queued_records() == 0; }
    /// A transaction is being committed: the open one cannot be closed yet.
    bool committing() const;
    Clock::time_point opened_at() const { return opened_at_; }
    Clock::time_point produced_at() const { return produced_at_; }
    std::string broker_error() const;

private:
    enum class Commit { none, wanted, done, failed };

    kafka::Producer& current() const { return *lanes_.at(number_); }
    void commit_loop(std::stop_token stop);
    void start_commit();

    std::array<std::unique_ptr<kafka::Producer>, 2> lanes_;
    const std::function<void()> on_news_;
    std::size_t number_ = 0; ///< of the lane that takes records
    std::set<std::string, std::less<>> topics_;
    bool open_ = false;
    bool closing_ = false;
    std::uint64_t marker_ = 0;
    Clock::time_point opened_at_;
    Clock::time_point produced_at_; ///< as turn() saw it
    bool produced_ = false;         ///< since turn()

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    Commit commit_ = Commit::none;         ///< guarded by mutex_
    kafka::Producer* committer_ = nullptr; ///< guarded by mutex_
    std::uint64_t committing_marker_ = 0;
    std::exception_ptr commit_error_; ///< guarded by mutex_
    std::jthread thread_;             ///< last: it uses the others
};

} // namespace keyshift::cdc
