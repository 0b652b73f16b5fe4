#include "cdc/publish/event_publisher.hpp"

#include "cdc/publish/ack_tracker.hpp"
#include "cdc/publish/event_encoder.hpp"
#include "cdc/publish/progress_recorder.hpp"
#include "core/failpoint.hpp"
#include "core/kafka/client.hpp"
#include "metrics/families.hpp"

#include <atomic>
#include <deque>
#include <map>
#include <fmt/core.h>
#include <mutex>
#include <set>
#include <thread>

namespace keyshift::cdc {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Small enough for the latency of a single event; under load librdkafka's batches fill by themselves.
constexpr auto kLinger = 2ms;
// The slot is confirmed up to the newest progress record, so this bounds both replays and WAL kept.
constexpr auto kProgressInterval = 50ms;
// Tokens of records that no event waits for.
constexpr std::uint64_t kControlToken = UINT64_MAX;
constexpr std::uint64_t kHeartbeatToken = UINT64_MAX - 1;
constexpr std::uint64_t kProgressToken = UINT64_MAX - 2;

std::int64_t wall_clock_ns()
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

} // namespace

struct EventPublisher::State {
    CdcOptions options;
    std::string node;
    metrics::CdcMetrics& metrics;
    std::function<void()> on_wait;
    EventEncoder encoder;
    AckTracker tracker;
    ProgressRecorder progress;
    std::set<std::string> topics;                       ///< stream's thread: known to exist
    std::map<std::pair<std::string, char>, metrics::Counter> counters; ///< stream's thread
    mutable std::mutex mutex;
    std::deque<ControlRecord> waiting_control;          ///< guarded by mutex; each waits until all before it is acknowledged
    std::deque<Lsn> waiting_at;                         ///< guarded by mutex; of the same
    std::optional<ErrorParts> failure;                  ///< guarded by mutex
    Lsn handed_over;                                    ///< guarded by mutex: end of the last commit, or advance
    Lsn progress_sent;                                  ///< delivery thread: of the progress record under way
    std::atomic<std::uint64_t> recorded = 0;            ///< Lsn of the newest acknowledged progress record
    std::atomic<bool> hurry = false;                    ///< somebody waits: send progress and events at once
    Clock::time_point next_progress = Clock::now();     ///< delivery thread
    bool progress_in_flight = false;                    ///< delivery thread
    std::unique_ptr<kafka::Producer> producer;
    std::jthread delivery;

    State(const CdcOptions& cdc, std::string name, std::string database, std::uint32_t timeline, metrics::CdcMetrics& series,
          std::function<void()> wait)
        : options(cdc), node(name), metrics(series), on_wait(std::move(wait)), encoder(options, std::move(database)), progress(std::move(name), timeline)
    {
    }

    void ensure_topic(const std::string& topic, int partitions, const char* cleanup);
    void produce(const kafka::Record& record);
    void delivered(const kafka::Delivery& report);
    void serve(std::stop_token stop);
    void send_control();
    void send_progress();
    bool try_control(const ControlRecord& record, std::uint64_t token);
    metrics::Counter& counter(const std::string& table, char op);
    void check() const;
};

void EventPublisher::State::check() const
{
    std::scoped_lock lock(mutex);
    if (failure) {
        throw TransientError(*failure);
    }
}

void EventPublisher::State::ensure_topic(const std::string& topic, int partitions, const char* cleanup)
{
    if (topics.contains(topic)) {
        return;
    }
    kafka::Admin(options.kafka, "keyshift-" + node).ensure_topic({topic, partitions, options.replication_factor, {{"cleanup.policy", cleanup}}});
    topics.insert(topic);
}

/// Waits for room; the stream answers its server meanwhile.
void EventPublisher::State::produce(const kafka::Record& record)
{
    while (!producer->try_produce(record)) {
        check();
        std::this_thread::sleep_for(1ms);
        on_wait();
    }
}

metrics::Counter& EventPublisher::State::counter(const std::string& table, char op)
{
    const auto found = counters.find({table, op});
    return found != counters.end() ? found->second : counters.emplace(std::pair(table, op), metrics.events(table, std::string_view(&op, 1))).first->second;
}

void EventPublisher::State::delivered(const kafka::Delivery& report)
{
    if (report.error) {
        metrics.kafka_errors(report.retry ? "transient" : "permanent").add();
        std::scoped_lock lock(mutex);
        failure = failure ? failure : report.error;
        return;
    }
    if (report.token == kProgressToken) {
        recorded = progress_sent.value;
        progress_in_flight = false;
    } else if (report.token < kProgressToken) {
        failpoint("cdc.acknowledge");
        progress.delivered(report.topic, report.partition, report.offset);
        tracker.acknowledge(report.token);
    }
}

bool EventPublisher::State::try_control(const ControlRecord& record, std::uint64_t token)
{
    const std::string topic = control_topic(options.topic_prefix);
    const std::string json = to_json(record);
    return producer->try_produce({topic, 0, std::nullopt, json, {}, token});
}

void EventPublisher::State::send_control()
{
    while (true) {
        ControlRecord record;
        {
            std::scoped_lock lock(mutex);
            if (waiting_control.empty() || waiting_at.front() > tracker.acknowledged()) {
                return;
            }
            record = waiting_control.front();
        }
        if (!try_control(record, kControlToken)) {
            return;
        }
        std::scoped_lock lock(mutex);
        waiting_control.pop_front();
        waiting_at.pop_front();
    }
}

void EventPublisher::State::send_progress()
{
    const Lsn acknowledged = tracker.acknowledged();
    const bool due = hurry || Clock::now() >= next_progress;
    if (!due || progress_in_flight || acknowledged.value <= recorded) {
        return;
    }
    if (try_control(progress.record(acknowledged), kProgressToken)) {
        progress_in_flight = true;
        progress_sent = acknowledged;
        next_progress = Clock::now() + kProgressInterval;
    }
}

void EventPublisher::State::serve(std::stop_token stop)
{
    while (!stop.stop_requested()) {
        try {
            producer->poll(hurry ? 1ms : 5ms);
            send_control();
            send_progress();
        } catch (const Error& error) {
            std::scoped_lock lock(mutex);
            failure = failure ? failure : error.parts();
        }
        if (const auto dead = producer->fatal()) {
            std::scoped_lock lock(mutex);
            failure = failure ? failure : dead;
        }
    }
}

EventPublisher::EventPublisher(const CdcOptions& options, std::string node, std::string database, std::uint32_t timeline, metrics::CdcMetrics& metrics,
                               std::function<void()> on_wait)
    : state_(std::make_unique<State>(options, std::move(node), std::move(database), timeline, metrics, std::move(on_wait)))
{
    State& state = *state_;
    state.ensure_topic(control_topic(options.topic_prefix), 1, "delete");
    state.ensure_topic(heartbeat_topic(options.topic_prefix), 1, "delete");
    state.producer = std::make_unique<kafka::Producer>(options.kafka, "keyshift-" + state.node, options.producer_queue_bytes, kLinger,
                                                       [&state](const kafka::Delivery& report) { state.delivered(report); });
    state.delivery = std::jthread([&state](std::stop_token stop) { state.serve(stop); });
}

EventPublisher::~EventPublisher()
{
    state_->delivery.request_stop();
    if (state_->delivery.joinable()) {
        state_->delivery.join();
    }
}

void EventPublisher::publish(const EventContext& context, const TableSchema& table, const Change& change)
{
    State& state = *state_;
    state.check();
    const TableEncoder& encoder = state.encoder.table(table);
    failpoint("cdc.encode");
    for (const EncodedRecord& record : state.encoder.encode(context, encoder, change, wall_clock_ns())) {
        state.ensure_topic(encoder.topic(), state.options.partitions, "delete");
        const std::size_t bytes = (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
        const std::uint64_t token = state.tracker.hand_over(bytes);
        failpoint("cdc.produce");
        state.produce({encoder.topic(), std::nullopt, record.key, record.value, record.headers, token});
        if (record.op != 0) {
            state.counter(encoder.name(), record.op).add();
        }
    }
}

void EventPublisher::commit(Lsn, Lsn end_lsn)
{
    advance(end_lsn);
}

void EventPublisher::advance(Lsn lsn)
{
    {
        std::scoped_lock lock(state_->mutex);
        state_->handed_over = std::max(state_->handed_over, lsn);
    }
    state_->tracker.reached(lsn);
}

void EventPublisher::heartbeat(std::int64_t now_ms)
{
    State& state = *state_;
    state.check();
    std::string key = R"({"serverName":")" + state.options.topic_prefix + R"("})";
    const std::string value = fmt::format(R"({{"ts_ms":{}}})", now_ms);
    const std::string topic = heartbeat_topic(state.options.topic_prefix);
    // A heartbeat that finds no room is worth nothing later.
    static_cast<void>(state.producer->try_produce({topic, 0, key, value, {}, kHeartbeatToken}));
}

void EventPublisher::control(const ControlRecord& record)
{
    std::scoped_lock lock(state_->mutex);
    state_->waiting_control.push_back(record);
    state_->waiting_at.push_back(state_->handed_over);
}

Lsn EventPublisher::acknowledged() const
{
    return state_->tracker.acknowledged();
}

Lsn EventPublisher::recorded() const
{
    return {state_->recorded.load()};
}

bool EventPublisher::wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait)
{
    state_->hurry = true;
    const bool reached = state_->tracker.wait(lsn, wait);
    state_->hurry = false;
    return reached;
}

std::optional<ErrorParts> EventPublisher::failure() const
{
    std::scoped_lock lock(state_->mutex);
    return state_->failure;
}

std::string EventPublisher::broker_error() const
{
    return state_->producer->broker_error();
}

std::size_t EventPublisher::queued_bytes() const
{
    return state_->tracker.pending_bytes();
}

std::vector<std::pair<std::string, std::string>> EventPublisher::left_out(const TableSchema& table)
{
    return unsupported_columns(table, DecimalMode::precise);
}

} // namespace keyshift::cdc
