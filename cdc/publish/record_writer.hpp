#pragma once
/// Writes one node's records to Kafka on a thread of its own, and knows how far they are there for good.
///
///   stream's thread -> RecordRing -> this thread -> TransactionLanes -> committed: acknowledged() moves on
///                                                -> control topic: progress records, of what is committed only
///
/// A record of the control topic never claims what is not committed: it is true even where its own transaction was aborted.

#include "cdc/options.hpp"
#include "cdc/publish/ack_tracker.hpp"
#include "cdc/publish/doorbell.hpp"
#include "cdc/publish/event_counters.hpp"
#include "cdc/publish/progress_recorder.hpp"
#include "cdc/publish/record_ring.hpp"
#include "cdc/publish/topics.hpp"
#include "cdc/publish/transaction_lanes.hpp"
#include "core/change_event.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace keyshift::cdc {

class RecordWriter {
public:
    /// `batch_bytes`: of the largest batch that is sent to a broker.
    RecordWriter(const CdcOptions& options, const std::string& node, std::uint32_t timeline,
                 metrics::CdcMetrics& metrics, EventCounters& counters, const Topics& topics, SizeLimits& sizes,
                 std::size_t batch_bytes);
    ~RecordWriter();

    /// Shuts older writers of this stream out and begins to write. False: not done within `wait`, call it again.
    bool take_over(std::chrono::milliseconds wait);

    // The stream's thread.
    /// False: no room. `series` counts it once it is acknowledged.
    bool push(kafka::Record record, EventCounters::Series series);
    /// What was pushed goes out now: for whoever has nothing more to push. Without it the writer may sleep a while longer.
    void nudge();
    /// A record that nobody waits for; left out when there is no room.
    void push_uncounted(kafka::Record record);
    /// Everything with a commit before `lsn` was pushed.
    void reached(Lsn lsn) { tracker_.reached(lsn); }
    /// Written after everything pushed before is acknowledged.
    void control(const ControlRecord& record);

    // Any thread.
    Lsn acknowledged() const { return tracker_.acknowledged(); }
    /// Records that were pushed so far, without those uncounted; and whether so many are acknowledged.
    std::uint64_t handed_over() const { return tracker_.next_token(); }
    bool delivered(std::uint64_t records) const { return tracker_.first_pending() >= records; }
    Lsn recorded() const { return {recorded_.load()}; }
    bool wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait);
    bool wait_recorded(Lsn lsn, std::chrono::milliseconds wait);
    /// Nothing lingers until everything before `lsn` is acknowledged and recorded.
    void hurry(Lsn lsn);
    /// Fewer, longer transactions, but for what somebody waits for.
    void long_transactions(bool wanted) { long_transactions_ = wanted; }
    std::optional<ErrorParts> failure() const;
    void check() const;
    std::string broker_error() const;
    std::size_t queued_bytes() const;

private:
    using Clock = std::chrono::steady_clock;
    struct WaitingControl {
        ControlRecord record;
        std::uint64_t token; ///< of the first event after it
    };
    /// What one transaction holds.
    struct Content {
        std::uint64_t below = 0;           ///< every record with a lower token is in it, or in one before it
        std::vector<std::uint64_t> counts; ///< by series
    };

    void serve(std::stop_token stop);
    void turn();
    bool fill();
    bool move_on(bool hurry);
    void wait_for_the_cause() const;
    void look_for_topics();
    void delivered(const kafka::Delivery& report);
    void committed();
    void send_control();
    void send_progress();
    bool try_control(const ControlRecord& record, std::uint64_t token);
    Clock::duration transaction_length() const;
    bool commit_is_due() const;
    bool hurried() const { return waiting_ > 0 || recorded_ < hurried_to_; }
    void finish();
    template <typename Failure>
    void fail(Failure error);

    metrics::CdcMetrics& metrics_;
    EventCounters& counters_;
    const Topics& topics_;
    SizeLimits& sizes_;
    const std::string control_topic_;
    AckTracker tracker_;
    Doorbell doorbell_;
    RecordRing ring_;
    ProgressRecorder progress_;
    std::atomic<std::uint64_t> pushed_bytes_ = 0;
    std::size_t unannounced_ = 0; ///< bytes pushed since the doorbell rang; the stream's thread
    std::atomic<std::uint64_t> delivered_bytes_ = 0;
    mutable std::mutex mutex_;
    std::condition_variable recorded_changed_;
    std::deque<WaitingControl> waiting_control_; ///< guarded by mutex_
    std::exception_ptr failure_;                 ///< guarded by mutex_; the first one
    std::optional<ErrorParts> failure_parts_;    ///< guarded by mutex_
    std::atomic<bool> failed_ = false;
    std::atomic<Clock::time_point> news_at_ = Clock::now(); ///< nothing waited, or a record was delivered
    std::atomic<std::uint64_t> recorded_ = 0;               ///< Lsn of the newest progress record in Kafka
    std::atomic<int> waiting_ = 0;                          ///< callers that wait for an acknowledgement or its record
    std::atomic<std::uint64_t> hurried_to_ = 0;             ///< Lsn
    std::atomic<bool> long_transactions_ = false;

    // This thread.
    Content open_;
    Content committing_;
    Lsn progress_sent_; ///< of the progress record under way
    bool progress_in_flight_ = false;
    std::optional<ErrorParts> lost_; ///< of the first record that was taken back
    Clock::time_point lost_at_;
    Clock::time_point next_progress_ = Clock::now();
    Clock::time_point looked_for_topics_; ///< when that was done last
    TransactionLanes lanes_;
    std::jthread thread_; ///< last: it uses all others
};

} // namespace keyshift::cdc
