#include "cdc/publish/event_publisher.hpp"

#include "cdc/publish/connect_schema.hpp"
#include "cdc/publish/event_counters.hpp"
#include "cdc/publish/event_encoder.hpp"
#include "cdc/publish/json_text.hpp"
#include "cdc/publish/message_encoder.hpp"
#include "cdc/publish/record_writer.hpp"
#include "cdc/publish/topics.hpp"
#include "core/failpoint.hpp"

#include <fmt/core.h>

#include <thread>

namespace keyshift::cdc {

namespace {

using namespace std::chrono_literals;

// Between two calls of on_wait while the broker is asked.
constexpr auto kSlice = 200ms;
// Longest wait for the broker to shut older producers out; the stream then begins anew.
constexpr auto kTakeOverLimit = 30s;

std::int64_t wall_clock_ns()
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace

struct EventPublisher::State {
    CdcOptions options;
    const std::string node;
    std::function<void()> on_wait;
    EventEncoder encoder;
    MessageEncoder messages;
    EventCounters counters;
    Topics topics;
    RecordWriter writer;
    const std::string heartbeats;

    State(const CdcOptions& cdc, const std::string& node_name, const std::string& database, std::uint32_t timeline,
          metrics::CdcMetrics& series, std::function<void()> wait)
        : options(cdc), node(node_name), on_wait(std::move(wait)), encoder(options, database),
          messages(options, database), counters(series), topics(options, "keyshift-" + node),
          writer(options, node, timeline, series, counters, topics), heartbeats(heartbeat_topic(options.topic_prefix))
    {
    }

    void check_size(const kafka::Record& record);
    void push(const kafka::Record& record, EventCounters::Series series);
    void hand_over(const std::string& topic, const EncodedRecord& record, EventCounters::Series series);
    void open_transaction(const EventContext& context);
};

/// A record that can never be written is found before it is in a transaction, which it would break.
void EventPublisher::State::check_size(const kafka::Record& record)
{
    std::size_t bytes = record.key.value_or("").size() + record.value.value_or("").size();
    for (const kafka::Header& header : record.headers) {
        bytes += header.name.size() + header.value.size();
    }
    if (bytes > topics.limit(record.topic)) {
        throw FatalError({fmt::format("writing a record of {} bytes to topic {}", bytes, record.topic),
                          fmt::format("the limit is {} bytes before compression", topics.limit(record.topic)),
                          fmt::format("Raise max.message.bytes of the topic and message.max.bytes in [kafka], or leave "
                                      "the column out, then start keyshift again.")});
    }
}

/// Waits for room; the stream answers its server meanwhile.
void EventPublisher::State::push(const kafka::Record& record, EventCounters::Series series)
{
    while (!writer.push(record, series)) {
        writer.check();
        std::this_thread::sleep_for(1ms);
        on_wait();
    }
}

void EventPublisher::State::hand_over(const std::string& topic, const EncodedRecord& record,
                                      EventCounters::Series series)
{
    const kafka::Record ready{
        topics.ensure(topic, options.partitions), std::nullopt, record.key, record.value, record.headers(), 0};
    check_size(ready);
    push(ready, series);
}

/// Rows that are read, not streamed, are of no transaction.
void EventPublisher::State::open_transaction(const EventContext& context)
{
    TransactionMetadata& transactions = encoder.transactions();
    if (options.transaction_metadata && context.snapshot == "false" && !transactions.open()) {
        hand_over(messages.transaction_topic(), messages.transaction(node, transactions.begin_record(context.lsn)),
                  EventCounters::kUncounted);
    }
}

EventPublisher::EventPublisher(const CdcOptions& options, std::string node, std::string database,
                               std::uint32_t timeline, metrics::CdcMetrics& metrics, std::function<void()> on_wait)
    : state_(std::make_unique<State>(options, node, database, timeline, metrics, std::move(on_wait)))
{
    State& state = *state_;
    state.topics.ensure(control_topic(options.topic_prefix), 1);
    state.topics.ensure(state.heartbeats, 1);
}

EventPublisher::~EventPublisher() = default;

void EventPublisher::take_over()
{
    const auto end = std::chrono::steady_clock::now() + kTakeOverLimit;
    while (!state_->writer.take_over(kSlice)) {
        state_->on_wait();
        if (std::chrono::steady_clock::now() > end) {
            throw TransientError({"shutting older producers of this stream out", "the broker did not answer in 30 s",
                                  "It is tried again when the brokers answer."});
        }
    }
}

void EventPublisher::publish(const EventContext& context, const TableSchema& table, const Change& change)
{
    State& state = *state_;
    state.writer.check();
    const TableEncoder& encoder = state.encoder.table(table);
    failpoint("cdc.encode");
    state.open_transaction(context);
    for (const EncodedRecord& record : state.encoder.encode(context, encoder, change, wall_clock_ns())) {
        state.hand_over(encoder.topic(), record, state.counters.series(encoder.name(), record.op));
    }
}

void EventPublisher::begin(const Begin& transaction)
{
    state_->encoder.transactions().begin(transaction);
}

void EventPublisher::message(const EventContext& context, const LogicalMessage& message)
{
    State& state = *state_;
    state.writer.check();
    if (message.transactional) {
        state.open_transaction(context);
    }
    const EncodedRecord record =
        state.messages.message(context, message, state.encoder.transactions(), wall_clock_ns());
    state.hand_over(state.messages.message_topic(), record, state.counters.series("message", record.op));
}

void EventPublisher::commit(Lsn, Lsn end_lsn)
{
    State& state = *state_;
    if (state.encoder.transactions().open()) {
        state.hand_over(state.messages.transaction_topic(),
                        state.messages.transaction(state.node, state.encoder.transactions().end_record(end_lsn)),
                        EventCounters::kUncounted);
    }
    advance(end_lsn);
}

void EventPublisher::advance(Lsn lsn)
{
    state_->writer.reached(lsn);
}

void EventPublisher::heartbeat(std::int64_t now_ms)
{
    State& state = *state_;
    state.writer.check();
    const bool schemas = state.options.schemas;
    std::string key(schemas ? heartbeat_key_head() : "");
    key += R"({"serverName":)";
    append_string(key, state.options.topic_prefix);
    key += schemas ? "}}" : "}";
    const std::string value = schemas ? fmt::format(R"({}{{"ts_ms":{}}}}})", heartbeat_value_head(), now_ms)
                                      : fmt::format(R"({{"ts_ms":{}}})", now_ms);
    // A heartbeat that finds no room is worth nothing later.
    state.writer.push_uncounted({state.heartbeats, 0, key, value, {}, 0});
}

void EventPublisher::control(const ControlRecord& record)
{
    state_->writer.control(record);
}

std::uint64_t EventPublisher::handed_over() const
{
    return state_->writer.handed_over();
}

bool EventPublisher::delivered(std::uint64_t records) const
{
    return state_->writer.delivered(records);
}

Lsn EventPublisher::acknowledged() const
{
    return state_->writer.acknowledged();
}

Lsn EventPublisher::recorded() const
{
    return state_->writer.recorded();
}

bool EventPublisher::wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait)
{
    return state_->writer.wait_acknowledged(lsn, wait);
}

std::optional<ErrorParts> EventPublisher::failure() const
{
    return state_->writer.failure();
}

void EventPublisher::check() const
{
    state_->writer.check();
}

std::string EventPublisher::broker_error() const
{
    return state_->writer.broker_error();
}

std::size_t EventPublisher::queued_bytes() const
{
    return state_->writer.queued_bytes();
}

std::vector<std::pair<std::string, std::string>> EventPublisher::left_out(const TableSchema& table) const
{
    return unsupported_columns(table, state_->options.values);
}

} // namespace keyshift::cdc
