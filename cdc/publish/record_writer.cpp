#include "cdc/publish/record_writer.hpp"

#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "metrics/families.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace keyshift::cdc {

namespace {

using namespace std::chrono_literals;

// Readers of committed records wait this long at most, and the slot is confirmed up to the newest progress record, so it
// bounds replays and WAL kept too; each commit costs the records behind it some milliseconds, and the broker a dozen requests.
constexpr auto kTransaction = 50ms;
// While the stream is behind, throughput counts; while buckets move, whatever the broker takes is taken from the move.
constexpr auto kLongTransaction = 200ms;
// A transaction that gets no more records is committed.
constexpr auto kQuiet = 20ms;
// Longest sleep; a doorbell ends it.
constexpr auto kTurn = 5ms;
constexpr auto kIdleTurn = 50ms;
// Records between two looks at deliveries.
constexpr int kBurst = 2000;
constexpr auto kFinishLimit = 1s;
constexpr auto kCauseLimit = 1s;
// Records that wait for longer are waiting for a broker.
constexpr auto kSilence = 3s;
constexpr auto kLookInterval = 10s;
// Large enough for what is read during a change of lanes.
constexpr std::size_t kRingShare = 3;
// Waking a thread costs as much as writing some records, so it is done for many.
constexpr std::size_t kAnnounce = 64U << 10U;
// A record's token at Kafka: the tracker's token, and above it the number of its counter.
constexpr unsigned kSeriesShift = 48;
constexpr std::uint64_t kTrackerMask = (std::uint64_t{1} << kSeriesShift) - 1;
// Tokens of records that no event waits for.
constexpr std::uint64_t kControlToken = UINT64_MAX;
constexpr std::uint64_t kUncountedToken = UINT64_MAX - 1;
constexpr std::uint64_t kProgressToken = UINT64_MAX - 2;

kafka::Settings with_batches(kafka::Settings settings, std::size_t bytes)
{
    settings["batch.size"] = std::to_string(bytes);
    return settings;
}

std::size_t bytes_of(const kafka::Record& record)
{
    return record.key.value_or("").size() + record.value.value_or("").size();
}

} // namespace

RecordWriter::RecordWriter(const CdcOptions& options, const std::string& node, std::uint32_t timeline,
                           metrics::CdcMetrics& metrics, EventCounters& counters, const Topics& topics,
                           SizeLimits& sizes, std::size_t batch_bytes)
    : metrics_(metrics), counters_(counters), topics_(topics), sizes_(sizes),
      control_topic_(control_topic(options.topic_prefix)), ring_(options.producer_queue_bytes / kRingShare),
      progress_(node, timeline),
      lanes_(
          with_batches(options.kafka, batch_bytes), "keyshift-" + node, "keyshift-" + options.topic_prefix + "-" + node,
          options.producer_queue_bytes - options.producer_queue_bytes / kRingShare,
          [this](const kafka::Delivery& report) { delivered(report); }, [this] { doorbell_.ring(); })
{
}

RecordWriter::~RecordWriter()
{
    thread_.request_stop();
    doorbell_.ring();
    if (thread_.joinable()) {
        thread_.join();
    }
}

bool RecordWriter::take_over(std::chrono::milliseconds wait)
{
    if (!lanes_.take_over(wait)) {
        return false;
    }
    thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
    return true;
}

bool RecordWriter::push(kafka::Record record, EventCounters::Series series)
{
    record.token = tracker_.next_token() | static_cast<std::uint64_t>(series) << kSeriesShift;
    if (!ring_.push(record)) {
        nudge();
        return false;
    }
    tracker_.hand_over();
    const std::size_t bytes = bytes_of(record);
    pushed_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    unannounced_ += bytes;
    if (unannounced_ >= kAnnounce) {
        nudge();
    }
    return true;
}

void RecordWriter::nudge()
{
    if (unannounced_ > 0) {
        unannounced_ = 0;
        doorbell_.ring();
    }
}

void RecordWriter::push_uncounted(kafka::Record record)
{
    record.token = kUncountedToken;
    if (ring_.push(record)) {
        doorbell_.ring();
    }
}

void RecordWriter::control(const ControlRecord& record)
{
    std::scoped_lock lock(mutex_);
    waiting_control_.push_back({record, tracker_.next_token()});
}

template <typename Failure>
void RecordWriter::fail(Failure error)
{
    std::scoped_lock lock(mutex_);
    if (!failure_) {
        failure_parts_ = error.parts();
        failure_ = std::make_exception_ptr(std::move(error));
        failed_.store(true, std::memory_order_release);
    }
}

void RecordWriter::delivered(const kafka::Delivery& report)
{
    if (report.error) {
        metrics_.kafka_errors(report.retry ? "transient" : "permanent").add();
        if (report.fenced) {
            fail(kafka::FencedError(*report.error));
        } else if (report.too_large) {
            // Whatever is larger than the known limits was not produced: they have changed, or it was the batch.
            sizes_.refused(report.topic, report.bytes);
            fail(TransientError(
                {report.error->what, report.error->why, "A new producer asks for the topic's limit and keeps to it."}));
        } else if (report.retry) {
            lost_at_ = lost_ ? lost_at_ : Clock::now();
            lost_ = lost_.value_or(*report.error);
        } else {
            fail(FatalError(*report.error));
        }
        return;
    }
    news_at_.store(Clock::now(), std::memory_order_relaxed);
    if (report.token == kProgressToken) {
        {
            std::scoped_lock lock(mutex_);
            recorded_ = progress_sent_.value;
        }
        recorded_changed_.notify_all();
        progress_in_flight_ = false;
    } else if (report.token < kProgressToken) {
        delivered_bytes_.fetch_add(report.bytes, std::memory_order_relaxed);
        if (progress_.delivered(report.topic, report.partition, report.offset)) {
            if (const auto outgrown = topics_.outgrown(std::string(report.topic), report.partition)) {
                fail(FatalError(*outgrown));
            }
        }
        const auto series = static_cast<std::size_t>(report.token >> kSeriesShift);
        if (series >= open_.counts.size()) {
            open_.counts.resize(series + 1);
        }
        ++open_.counts[series];
    }
}

/// A record that was taken back says less than the error which did it, and comes before that.
void RecordWriter::wait_for_the_cause() const
{
    if (lost_ && Clock::now() - lost_at_ > kCauseLimit) {
        throw TransientError(*lost_);
    }
}

/// Of a topic that somebody has deleted librdkafka says nothing: its records wait for ever, and all others behind them.
void RecordWriter::look_for_topics()
{
    const auto now = Clock::now();
    if (now - news_at_.load(std::memory_order_relaxed) < kSilence || now - looked_for_topics_ < kLookInterval) {
        return;
    }
    looked_for_topics_ = now;
    if (const auto gone = topics_.gone()) {
        throw TransientError({"writing to topic " + *gone, "it is not there any more: somebody has deleted it",
                              "It is made again, and gets what is not acknowledged yet."});
    }
}

/// True: there may be more to take.
bool RecordWriter::fill()
{
    for (int count = 0; count < kBurst; ++count) {
        const kafka::Record* record = ring_.front();
        if (record == nullptr) {
            return false;
        }
        if (record->token != kUncountedToken) {
            failpoint("cdc.produce");
        }
        if (!lanes_.try_produce(*record)) {
            return false;
        }
        if (record->token != kUncountedToken) {
            open_.below = (record->token & kTrackerMask) + 1;
        }
        ring_.pop();
    }
    return true;
}

void RecordWriter::committed()
{
    const std::optional<std::uint64_t> below = lanes_.take_committed();
    if (!below) {
        return;
    }
    failpoint("cdc.acknowledge");
    for (std::size_t series = 0; series < committing_.counts.size(); ++series) {
        counters_.add(static_cast<EventCounters::Series>(series), committing_.counts[series]);
    }
    tracker_.acknowledge_below(*below);
}

bool RecordWriter::try_control(const ControlRecord& record, std::uint64_t token)
{
    const std::string json = to_json(record);
    return lanes_.try_produce({control_topic_, 0, std::nullopt, json, {}, token});
}

void RecordWriter::send_control()
{
    while (true) {
        ControlRecord record;
        {
            std::scoped_lock lock(mutex_);
            if (waiting_control_.empty() || waiting_control_.front().token > tracker_.first_pending()) {
                return;
            }
            record = waiting_control_.front().record;
        }
        if (!try_control(record, kControlToken)) {
            return;
        }
        std::scoped_lock lock(mutex_);
        waiting_control_.pop_front();
    }
}

void RecordWriter::send_progress()
{
    const Lsn acknowledged = tracker_.acknowledged();
    const bool due = hurried() || Clock::now() >= next_progress_;
    if (!due || progress_in_flight_ || acknowledged.value <= recorded_) {
        return;
    }
    if (try_control(progress_.record(acknowledged), kProgressToken)) {
        progress_in_flight_ = true;
        progress_sent_ = acknowledged;
        next_progress_ = Clock::now() + transaction_length();
    }
}

RecordWriter::Clock::duration RecordWriter::transaction_length() const
{
    return long_transactions_ || ring_.half_full() ? kLongTransaction : kTransaction;
}

bool RecordWriter::commit_is_due() const
{
    if (!lanes_.open() || lanes_.closing() || lanes_.committing()) {
        return false;
    }
    if (hurried() && open_.below > tracker_.first_pending()) {
        return true;
    }
    const auto now = Clock::now();
    return now - lanes_.opened_at() >= transaction_length() ||
           (now - lanes_.produced_at() >= kQuiet && ring_.empty() && lanes_.delivered());
}

/// librdkafka tells of a broker's end once, and nothing at all of one that has stopped to answer.
std::string RecordWriter::broker_error() const
{
    const std::string told = lanes_.broker_error();
    const auto silent = Clock::now() - news_at_.load(std::memory_order_relaxed);
    if (!told.empty() || silent < kSilence) {
        return told;
    }
    return fmt::format("the brokers have not answered for {} s",
                       std::chrono::duration_cast<std::chrono::seconds>(silent).count());
}

void RecordWriter::turn()
{
    if (!lanes_.committing() && (!lanes_.open() || lanes_.delivered())) {
        news_at_.store(Clock::now(), std::memory_order_relaxed);
    }
    doorbell_.listen();
    committed();
    send_control();
    send_progress();
    const bool more = !lost_ && fill();
    if (commit_is_due()) {
        lanes_.close(open_.below);
    }
    wait_for_the_cause();
    look_for_topics();
    if (!move_on(hurried()) && !more) {
        doorbell_.wait(lanes_.open() ? kTurn : kIdleTurn);
    }
}

/// True: the open transaction was handed to the committing thread; what comes now is the next one's.
bool RecordWriter::move_on(bool hurry)
{
    const bool was_closing = lanes_.closing();
    lanes_.turn(hurry);
    if (!was_closing || lanes_.closing()) {
        return false;
    }
    committing_ = std::exchange(open_, Content{open_.below, {}});
    return true;
}

void RecordWriter::serve(std::stop_token stop)
{
    try {
        while (!stop.stop_requested() && !failed_) {
            turn();
        }
        if (!failed_) {
            finish();
        }
    } catch (const kafka::FencedError& error) {
        fail(error);
    } catch (const TransientError& error) {
        fail(error);
    } catch (const Error& error) {
        fail(FatalError(error.parts()));
    }
}

/// An open transaction would keep readers of committed records waiting until the broker ends it.
void RecordWriter::finish()
{
    const auto end = Clock::now() + kFinishLimit;
    while ((lanes_.open() || lanes_.committing()) && Clock::now() < end) {
        if (lanes_.open() && !lanes_.closing()) {
            lanes_.close(open_.below);
        }
        doorbell_.listen();
        committed();
        if (!move_on(true)) {
            doorbell_.wait(1ms);
        }
    }
}

} // namespace keyshift::cdc
