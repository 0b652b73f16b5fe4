#include "cdc/publish/event_publisher.hpp"

#include "cdc/publish/ack_tracker.hpp"
#include "cdc/publish/connect_schema.hpp"
#include "cdc/publish/event_counters.hpp"
#include "cdc/publish/event_encoder.hpp"
#include "cdc/publish/json_text.hpp"
#include "cdc/publish/progress_recorder.hpp"
#include "cdc/publish/topics.hpp"
#include "core/failpoint.hpp"
#include "core/kafka/client.hpp"
#include "metrics/families.hpp"

#include <fmt/core.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

namespace keyshift::cdc {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Small enough for the latency of a single event; under load librdkafka's batches fill by themselves.
constexpr auto kLinger = 2ms;
// The slot is confirmed up to the newest progress record, so this bounds both replays and WAL kept.
constexpr auto kProgressInterval = 50ms;
// Longest wait for deliveries in one turn of the delivery thread; control and progress records go out between turns.
constexpr auto kTurn = 5ms;
constexpr auto kHurriedTurn = 1ms;
// A record's token at Kafka: the tracker's token, and above it the number of its counter.
constexpr unsigned kSeriesShift = 48;
constexpr std::uint64_t kTrackerMask = (std::uint64_t{1} << kSeriesShift) - 1;
// Tokens of records that no event waits for.
constexpr std::uint64_t kControlToken = UINT64_MAX;
constexpr std::uint64_t kHeartbeatToken = UINT64_MAX - 1;
constexpr std::uint64_t kProgressToken = UINT64_MAX - 2;

std::int64_t wall_clock_ns()
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace

struct EventPublisher::State {
    struct Failure {
        ErrorParts parts;
        bool final = false; ///< a new publisher would meet it again
    };
    struct WaitingControl {
        ControlRecord record;
        std::uint64_t token; ///< of the first event after it
    };

    CdcOptions options;
    std::string node;
    metrics::CdcMetrics& metrics;
    std::function<void()> on_wait;
    EventEncoder encoder;
    AckTracker tracker;
    EventCounters counters;
    Topics topics;
    ProgressRecorder progress; ///< delivery thread
    mutable std::mutex mutex;
    std::deque<WaitingControl> waiting_control;     ///< guarded by mutex
    std::optional<Failure> failure;                 ///< guarded by mutex; the first one
    std::atomic<std::uint64_t> recorded = 0;        ///< Lsn of the newest acknowledged progress record
    std::atomic<int> hurried = 0;                   ///< callers that wait for an acknowledgement
    Lsn progress_sent;                              ///< delivery thread: of the progress record under way
    bool progress_in_flight = false;                ///< delivery thread
    Clock::time_point next_progress = Clock::now(); ///< delivery thread
    std::unique_ptr<kafka::Producer> producer;
    std::jthread delivery;

    State(const CdcOptions& cdc, const std::string& name, std::string database, std::uint32_t timeline,
          metrics::CdcMetrics& series, std::function<void()> wait)
        : options(cdc), node(name), metrics(series), on_wait(std::move(wait)), encoder(options, std::move(database)),
          counters(series), topics(options, "keyshift-" + name), progress(name, timeline)
    {
    }

    void check() const;
    void fail(ErrorParts parts, bool final);
    void produce(const kafka::Record& record);
    void delivered(const kafka::Delivery& report);
    void serve(std::stop_token stop);
    void turn();
    void send_control();
    void send_progress();
    bool try_control(const ControlRecord& record, std::uint64_t token);
};

void EventPublisher::State::check() const
{
    std::scoped_lock lock(mutex);
    if (failure && failure->final) {
        throw FatalError(failure->parts);
    }
    if (failure) {
        throw TransientError(failure->parts);
    }
}

void EventPublisher::State::fail(ErrorParts parts, bool final)
{
    std::scoped_lock lock(mutex);
    if (!failure) {
        failure = Failure{std::move(parts), final};
    }
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

void EventPublisher::State::delivered(const kafka::Delivery& report)
{
    if (report.error) {
        metrics.kafka_errors(report.retry ? "transient" : "permanent").add();
        fail(*report.error, !report.retry);
        return;
    }
    if (report.token == kProgressToken) {
        recorded = progress_sent.value;
        progress_in_flight = false;
    } else if (report.token < kProgressToken) {
        failpoint("cdc.acknowledge");
        if (progress.delivered(report.topic, report.partition, report.offset)) {
            if (const auto outgrown = topics.outgrown(report.topic, report.partition)) {
                fail(*outgrown, true);
            }
        }
        tracker.acknowledge(report.token & kTrackerMask);
        counters.add(static_cast<EventCounters::Series>(report.token >> kSeriesShift));
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
            if (waiting_control.empty() || waiting_control.front().token > tracker.first_pending()) {
                return;
            }
            record = waiting_control.front().record;
        }
        if (!try_control(record, kControlToken)) {
            return;
        }
        std::scoped_lock lock(mutex);
        waiting_control.pop_front();
    }
}

void EventPublisher::State::send_progress()
{
    const Lsn acknowledged = tracker.acknowledged();
    const bool due = hurried > 0 || Clock::now() >= next_progress;
    if (!due || progress_in_flight || acknowledged.value <= recorded) {
        return;
    }
    if (try_control(progress.record(acknowledged), kProgressToken)) {
        progress_in_flight = true;
        progress_sent = acknowledged;
        next_progress = Clock::now() + kProgressInterval;
    }
}

void EventPublisher::State::turn()
{
    if (hurried > 0) {
        // Sends without lingering; serves deliveries like poll.
        producer->flush(kHurriedTurn);
    }
    producer->poll(hurried > 0 ? kHurriedTurn : kTurn);
    send_control();
    send_progress();
    if (const auto dead = producer->fatal()) {
        fail(*dead, false);
    }
}

void EventPublisher::State::serve(std::stop_token stop)
{
    while (!stop.stop_requested()) {
        try {
            turn();
        } catch (const TransientError& error) {
            fail(error.parts(), false);
        } catch (const Error& error) {
            fail(error.parts(), true);
        }
    }
}

EventPublisher::EventPublisher(const CdcOptions& options, std::string node, std::string database,
                               std::uint32_t timeline, metrics::CdcMetrics& metrics, std::function<void()> on_wait)
    : state_(std::make_unique<State>(options, node, std::move(database), timeline, metrics, std::move(on_wait)))
{
    State& state = *state_;
    state.topics.ensure(control_topic(options.topic_prefix), 1);
    state.topics.ensure(heartbeat_topic(options.topic_prefix), 1);
    state.producer = std::make_unique<kafka::Producer>(
        options.kafka, "keyshift-" + state.node, options.producer_queue_bytes, kLinger,
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
        state.topics.ensure(encoder.topic(), state.options.partitions);
        const std::size_t bytes = (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
        const std::uint64_t series = state.counters.series(encoder.name(), record.op);
        const std::uint64_t token = state.tracker.hand_over(bytes) | series << kSeriesShift;
        failpoint("cdc.produce");
        try {
            state.produce({encoder.topic(), std::nullopt, record.key, record.value, record.headers(), token});
        } catch (...) {
            // The stream broke while there was no room: the transaction comes again, and this publisher may outlive the
            // stream's session.
            state.tracker.withdraw(token & kTrackerMask);
            throw;
        }
    }
}

void EventPublisher::commit(Lsn, Lsn end_lsn)
{
    advance(end_lsn);
}

void EventPublisher::advance(Lsn lsn)
{
    state_->tracker.reached(lsn);
}

void EventPublisher::heartbeat(std::int64_t now_ms)
{
    State& state = *state_;
    state.check();
    const bool schemas = state.options.schemas;
    std::string key(schemas ? heartbeat_key_head() : "");
    key += R"({"serverName":)";
    append_string(key, state.options.topic_prefix);
    key += schemas ? "}}" : "}";
    const std::string value = schemas ? fmt::format(R"({}{{"ts_ms":{}}}}})", heartbeat_value_head(), now_ms)
                                      : fmt::format(R"({{"ts_ms":{}}})", now_ms);
    const std::string topic = heartbeat_topic(state.options.topic_prefix);
    // A heartbeat that finds no room is worth nothing later.
    static_cast<void>(state.producer->try_produce({topic, 0, key, value, {}, kHeartbeatToken}));
}

void EventPublisher::control(const ControlRecord& record)
{
    std::scoped_lock lock(state_->mutex);
    state_->waiting_control.push_back({record, state_->tracker.next_token()});
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
    ++state_->hurried;
    const bool reached = state_->tracker.wait(lsn, wait);
    --state_->hurried;
    return reached;
}

std::optional<ErrorParts> EventPublisher::failure() const
{
    std::scoped_lock lock(state_->mutex);
    return state_->failure ? std::optional(state_->failure->parts) : std::nullopt;
}

void EventPublisher::check() const
{
    state_->check();
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
