#include "cdc/publish/event_publisher.hpp"

#include "cdc/publish/connect_schema.hpp"
#include "cdc/publish/dead_letters.hpp"
#include "cdc/publish/event_counters.hpp"
#include "cdc/publish/event_encoder.hpp"
#include "cdc/publish/json_text.hpp"
#include "cdc/publish/message_encoder.hpp"
#include "cdc/publish/record_writer.hpp"
#include "cdc/publish/topics.hpp"
#include "core/failpoint.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <mutex>
#include <thread>

namespace keyshift::cdc {

namespace {

using namespace std::chrono_literals;

// Between two calls of on_wait while the broker is asked.
constexpr auto kSlice = 200ms;
// Longest wait for the broker to shut older producers out; the stream then begins anew.
constexpr auto kTakeOverLimit = 30s;
// Below it a value is written before it is known to be too large.
constexpr std::size_t kLong = 64U << 10U;

std::int64_t wall_clock_ns()
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// As far as limits count it.
std::size_t bytes_of(const kafka::Record& record)
{
    std::size_t bytes = record.key.value_or("").size() + record.value.value_or("").size();
    for (const kafka::Header& header : record.headers) {
        bytes += header.name.size() + header.value.size();
    }
    return bytes;
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
    DeadLetters dead_letters;
    const std::string heartbeats; // the writer's thread reads it
    RecordWriter writer;

    State(const CdcOptions& cdc, const std::string& node_name, const std::string& database, std::uint32_t timeline,
          metrics::CdcMetrics& series, SizeLimits& sizes, PartitionCounts& counts, const std::function<void()>& wait)
        : options(cdc), node(node_name), on_wait(wait), encoder(options, database), messages(options, database),
          counters(series), topics(options, "keyshift-" + node, sizes, counts, wait), dead_letters(options, node),
          heartbeats(heartbeat_topic(options.topic_prefix)),
          writer(options, node, timeline, series, counters, topics, sizes,
                 std::min(sizes.settle([this](const std::string& topic) { return topics.broker_limit(topic); }),
                          topics.request_limit()))
    {
    }

    kafka::Record ready(const std::string& topic, const EncodedRecord& record);
    void push(const kafka::Record& record, EventCounters::Series series);
    void event(const EventContext& context, const TableSchema& table, const Change& change, const TableEncoder& encoded,
               const EncodedRecord& record, std::size_t shortened);
    bool publish_shortened(const EventContext& context, const TableSchema& table, const Change& change,
                           const TableEncoder& encoded);
    void set_aside(const OversizeRecord& oversize);
    void hand_over(const std::string& topic, const EncodedRecord& record, EventCounters::Series series);
    void open_transaction(const EventContext& context);
    std::string about_large() const;

    /// The last record that was larger than what brokers take in a request unless they are told otherwise.
    struct Large {
        std::string topic;
        std::size_t bytes = 0;
        std::uint64_t records = 0; ///< handed over with it
    };
    mutable std::mutex large_mutex;
    std::optional<Large> large; ///< guarded by large_mutex
};

kafka::Record EventPublisher::State::ready(const std::string& topic, const EncodedRecord& record)
{
    return {topics.ensure(topic), std::nullopt, record.key, record.value, record.headers(), 0};
}

/// Waits for room; the stream answers its server meanwhile.
void EventPublisher::State::push(const kafka::Record& record, EventCounters::Series series)
{
    while (!writer.push(record, series)) {
        writer.check();
        std::this_thread::sleep_for(1ms);
        on_wait();
    }
    if (const std::size_t bytes = bytes_of(record); bytes > kUsualRequest) {
        std::scoped_lock lock(large_mutex);
        large = {std::string(record.topic), bytes, writer.handed_over()};
    }
}

/// A broker that finds a request too large closes the connection and gives no reason, which looks like a broker that is away.
std::string EventPublisher::State::about_large() const
{
    std::scoped_lock lock(large_mutex);
    if (!large || writer.delivered(large->records)) {
        return {};
    }
    return fmt::format("; a record of {} bytes for topic {} is under way: brokers close the connection where "
                       "socket.request.max.bytes is smaller ({} unless set). Raise it on every broker and start them "
                       "again, or grant DescribeConfigs on the cluster, so that --on-error of the table decides",
                       large->bytes, large->topic, kUsualRequest);
}

/// One record of a change, with so many bytes left out. One that can never be written is found before it is in a transaction,
/// which it would break.
void EventPublisher::State::event(const EventContext& context, const TableSchema& table, const Change& change,
                                  const TableEncoder& encoded, const EncodedRecord& record, std::size_t shortened)
{
    const std::string& topic = encoded.topic();
    const kafka::Record made = ready(topic, record);
    const std::size_t bytes = bytes_of(made) + shortened;
    if (shortened == 0 && topics.takes(topic, bytes)) {
        push(made, counters.series(encoded.name(), record.op));
        return;
    }
    const OversizeRecord oversize{
        context, table, change, record, topic, bytes, topics.limit(topic), topics.limits(topic)};
    if (table.capture.on_error == OnError::stop) {
        throw FatalError(dead_letters.stop(oversize));
    }
    set_aside(oversize);
}

/// True: it was done, without the bytea values that are too large by themselves. Memory for their JSON is never taken.
bool EventPublisher::State::publish_shortened(const EventContext& context, const TableSchema& table,
                                              const Change& change, const TableEncoder& encoded)
{
    const std::size_t longest = encoded.longest_bytes(change);
    if (longest < kLong || topics.takes(topics.ensure(encoded.topic()), longest)) {
        return false;
    }
    const TableEncoder::Shortened shortened = encoded.shorten(change, topics.limit(encoded.topic()));
    for (const EncodedRecord& record : encoder.encode(context, encoded, shortened.change, wall_clock_ns())) {
        event(context, table, change, encoded, record, shortened.by(record.op));
    }
    return true;
}

void EventPublisher::State::set_aside(const OversizeRecord& oversize)
{
    const std::string& topic = dead_letters.topic();
    for (const bool with_key : {true, false}) {
        const kafka::Record letter = ready(topic, dead_letters.letter(oversize, with_key));
        if (topics.takes(topic, bytes_of(letter))) {
            push(letter, counters.dead_letters(oversize.table.root.to_string()));
            dead_letters.log(oversize);
            return;
        }
    }
    throw FatalError(too_large("writing what is left of an event of " + oversize.table.root.to_string(), topic,
                               bytes_of(ready(topic, dead_letters.letter(oversize, false))), topics.limits(topic)));
}

/// Of records that have no table, and so nobody who said what becomes of them.
void EventPublisher::State::hand_over(const std::string& topic, const EncodedRecord& record,
                                      EventCounters::Series series)
{
    const kafka::Record made = ready(topic, record);
    if (const std::size_t bytes = bytes_of(made); !topics.takes(topic, bytes)) {
        throw FatalError(too_large("writing a record of node " + node, topic, bytes, topics.limits(topic)));
    }
    push(made, series);
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
                               std::uint32_t timeline, metrics::CdcMetrics& metrics, SizeLimits& sizes,
                               PartitionCounts& counts, std::function<void()> on_wait)
    : state_(std::make_unique<State>(options, node, database, timeline, metrics, sizes, counts, on_wait))
{
    State& state = *state_;
    state.topics.ensure_single(control_topic(options.topic_prefix));
    state.topics.ensure_single(state.heartbeats);
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
    if (state.publish_shortened(context, table, change, encoder)) {
        return;
    }
    for (const EncodedRecord& record : state.encoder.encode(context, encoder, change, wall_clock_ns())) {
        state.event(context, table, change, encoder, record, 0);
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

void EventPublisher::nudge()
{
    state_->writer.nudge();
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

bool EventPublisher::wait_recorded(Lsn lsn, std::chrono::milliseconds wait)
{
    return state_->writer.wait_recorded(lsn, wait);
}

void EventPublisher::hurry(Lsn lsn)
{
    state_->writer.hurry(lsn);
}

void EventPublisher::long_transactions(bool wanted)
{
    state_->writer.long_transactions(wanted);
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
    const std::string told = state_->writer.broker_error();
    return told.empty() ? told : told + state_->about_large();
}

std::uint64_t EventPublisher::dead_letters() const
{
    return state_->counters.dead_letters();
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
