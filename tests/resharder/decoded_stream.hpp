#pragma once
/// A StreamPort without Kafka: reads a slot of PostgreSQL's own test_decoding, so the mover is tested against a decoder
/// that shares no code with ours. Keeps all it has read, so a subscription may begin anywhere after the slot.

#include "cdc/source/subscription.hpp"
#include "core/pg/connection.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace keyshift::test {

class DecodedStream : public cdc::StreamPort {
public:
    /// The slot exists. `consume`: false reads a temporary copy of it and leaves everything in the slot itself, for a
    /// process that comes after a killed one.
    DecodedStream(pg::ConnectionSettings node, std::string slot, bool consume);
    ~DecodedStream() override;

    std::unique_ptr<cdc::Subscription> subscribe(std::int64_t move, const std::string& group, BucketId bucket,
                                                 std::optional<Lsn> from) override;
    bool wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait) override;
    bool wait_recorded(Lsn lsn, std::chrono::milliseconds wait) override { return wait_acknowledged(lsn, wait); }
    bool healthy() const override { return healthy_; }
    void placement_changed() override {}

    void set_healthy(bool healthy) { healthy_ = healthy; }
    /// Subscriptions from before what it had read: a real stream begins anew for each.
    int went_back() const { return went_back_; }

private:
    friend class DecodedSubscription;
    struct Seen {
        Lsn commit_lsn;
        std::uint32_t xid = 0;
        std::vector<std::pair<std::string, cdc::OwnedChange>> changes; ///< leaf's name, change
        std::vector<std::string> barriers;                             ///< "move id"
    };
    /// Under mutex_.
    void poll();
    void run(std::stop_token stop);
    std::shared_ptr<const cdc::Relation> relation(const std::string& name);

    pg::ConnectionSettings node_;
    std::string slot_;
    std::mutex mutex_;
    pg::Connection reader_; ///< under mutex_; a temporary slot lives as long as it
    std::condition_variable changed_;
    std::deque<Seen> seen_;
    Lsn received_;
    Seen open_;
    std::atomic<bool> healthy_ = true;
    std::atomic<int> went_back_ = 0;
    std::jthread thread_;
};

} // namespace keyshift::test
