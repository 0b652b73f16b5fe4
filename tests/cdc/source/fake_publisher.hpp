#pragma once
/// Stands in for Kafka in tests of the stream: keeps what was published in memory, acknowledges when it is told to.

#include "cdc/publish/event_publisher.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::test {

struct FakeEvent {
    std::string table; ///< "schema.table" of the root
    cdc::ChangeKind kind = cdc::ChangeKind::insert;
    std::string origin;
    SourcePosition position;
    std::string snapshot;
    std::uint32_t xid = 0;
    /// Key of the new row, or of the old one for a delete; columns joined by '|'.
    std::string key;
    std::optional<std::string> old_key;
    /// Values by column; absent: unchanged TOAST; "NULL": NULL.
    std::map<std::string, std::string> after;
    /// By column: the type's name, "!" when NOT NULL, and an enum's labels: "int4!", "mood(sad,ok)".
    std::map<std::string, std::string> types;
};

/// One broker for all streams of a test.
class FakeKafka {
public:
    static FakeKafka& instance();
    void reset();

    /// While down nothing is acknowledged, and publish() waits once `room` events are pending.
    void set_up(bool up);
    void set_room(std::size_t events);

    std::vector<FakeEvent> events(const std::string& table = {}) const;
    std::vector<std::string> controls() const;
    int heartbeats() const;
    /// Waits until `count` events of the table are there and acknowledged; what there is after `limit`.
    std::vector<FakeEvent> wait_events(std::size_t count, const std::string& table = {},
                                       std::chrono::milliseconds limit = std::chrono::seconds(15)) const;
    /// What a restarted daemon would find in the control topic.
    std::optional<Lsn> progress(const std::string& node) const;
    std::uint32_t timeline(const std::string& node) const;
    /// A progress record was older than the one before it, of the same timeline.
    bool progress_went_back() const;
    void set_progress(const std::string& node, Lsn lsn);
    /// False: the stream did not ask for it in time.
    bool wait_long_transactions(bool wanted) const;
    /// Makes the present publishers fail as a dead producer does.
    void kill_publishers();

private:
    friend class keyshift::cdc::EventPublisher;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    bool up_ = true;
    std::size_t room_ = 1'000;
    std::uint64_t killed_ = 0;
    std::vector<FakeEvent> events_;
    std::vector<std::string> controls_;
    std::map<std::string, Lsn> progress_;
    std::map<std::string, std::uint32_t> timelines_; ///< of it
    bool progress_went_back_ = false;
    std::size_t pending_ = 0;
    int heartbeats_ = 0;
    bool long_transactions_ = false;
};

} // namespace keyshift::test
