#include "cdc/publish/dead_letters.hpp"

#include "cdc/publish/json_text.hpp"
#include "cdc/publish/value_encoder.hpp"
#include "core/log.hpp"

#include <fmt/core.h>

#include <utility>

namespace keyshift::cdc {

namespace {

constexpr auto kLogInterval = std::chrono::minutes(1);

/// c u d r t as in the event; a tombstone is the one without.
std::string op_text(const EncodedRecord& record)
{
    return record.value ? fmt::format(R"("{}")", record.op) : "null";
}

std::string json_string(std::string_view text)
{
    std::string out;
    append_string(out, text);
    return out;
}

void append_size(std::string& out, const std::optional<Tuple>& row, std::size_t column)
{
    if (row && (*row)[column].kind == Datum::Kind::text) {
        out += std::to_string((*row)[column].text.size());
    } else {
        out += "null";
    }
}

std::string limits_text(const RecordLimits& limits)
{
    std::string text = fmt::format("max.message.bytes of the topic is {}, message.max.bytes in [kafka] is {}",
                                   limits.topic > 0 ? std::to_string(limits.topic)
                                                    : "not known (the right DescribeConfigs is missing)",
                                   limits.client);
    if (limits.request > 0) {
        text += fmt::format(", socket.request.max.bytes of the brokers is {}", limits.request);
    }
    return text;
}

/// What the settings must be for a record of `bytes`.
std::string raise_text(const std::string& topic, std::size_t bytes, const RecordLimits& limits)
{
    constexpr std::size_t kRoom = 4096;
    constexpr std::size_t kMost = 1'000'000'000; // message.max.bytes of librdkafka
    if (bytes + kRoom > kMost) {
        return fmt::format("No setting takes it: \"message.max.bytes\" in [kafka] ends at {}", kMost);
    }
    std::string text =
        fmt::format("Raise both: `kafka-configs --alter --entity-type topics --entity-name {} --add-config "
                    "max.message.bytes={}` and \"message.max.bytes\" = \"{}\" in [kafka], then start keyshift again",
                    topic, bytes + 2 * kRoom, bytes + kRoom);
    if (bytes + 2 * kRoom > (limits.request > 0 ? limits.request : kUsualRequest)) {
        text +=
            fmt::format(" (a record of this size also needs socket.request.max.bytes={} on every broker, which is {} "
                        "unless set)",
                        bytes + 3 * kRoom, kUsualRequest);
    }
    return text;
}

} // namespace

ErrorParts too_large(const std::string& what, const std::string& topic, std::size_t bytes, const RecordLimits& limits)
{
    return {what,
            fmt::format("the record has {} bytes before compression, which is too large for topic {}: {}", bytes, topic,
                        limits_text(limits)),
            raise_text(topic, bytes, limits) + "."};
}

DeadLetters::DeadLetters(const CdcOptions& options, std::string node)
    : values_(options.values), node_(std::move(node)), topic_(dead_letter_topic(options.topic_prefix))
{
}

ErrorParts DeadLetters::stop(const OversizeRecord& oversize) const
{
    const std::string table = oversize.table.root.to_string();
    ErrorParts parts = too_large(fmt::format("writing an event of {} (op {}, LSN {}, commit LSN {}) of node {}", table,
                                             op_text(oversize.record), oversize.context.lsn.to_string(),
                                             oversize.context.position.commit_lsn.to_string(), node_),
                                 oversize.topic, oversize.bytes, oversize.limits);
    parts.next = fmt::format(
        "{}; or `keyshift table capture {} --on-error dead-letter`: such events go to topic {} without their values, and the "
        "stream goes on within a minute, or at once with `keyshift reload`. The slot keeps the WAL meanwhile. Only where "
        "the change may be lost: leave the large column out (--exclude-columns) or `keyshift cdc recover {}`.",
        raise_text(oversize.topic, oversize.bytes, oversize.limits), table, topic_, node_);
    return parts;
}

const EncodedRecord& DeadLetters::letter(const OversizeRecord& oversize, bool with_key)
{
    const EventContext& context = oversize.context;
    const std::optional<std::string_view> key = oversize.record.key;
    value_ = fmt::format(R"({{"reason":"too_large","node":{},"table":{},"topic":{},"op":{},"snapshot":{},"key":)",
                         json_string(node_), json_string(oversize.table.root.to_string()), json_string(oversize.topic),
                         op_text(oversize.record), json_string(context.snapshot));
    value_ += key && with_key ? *key : "null";
    value_ += fmt::format(
        R"(,"key_bytes":{},"lsn":"{}","commit_lsn":"{}","xid":{},"ts_ms":{},"size":{},"limit":{},"topic_limit":{},"client_limit":{},"columns":[)",
        key ? std::to_string(key->size()) : "null", context.lsn.to_string(), context.position.commit_lsn.to_string(),
        context.xid == 0 ? "null" : std::to_string(context.xid), context.commit_time_us / 1000, oversize.bytes,
        oversize.limit, oversize.limits.topic > 0 ? std::to_string(oversize.limits.topic) : "null",
        oversize.limits.client);
    append_columns(oversize);
    value_ += "]}";
    letter_ = {};
    letter_.key = with_key ? key : std::nullopt;
    letter_.value = value_;
    for (const kafka::Header& header : oversize.record.headers()) {
        if (with_key || header.name == kHeaderOrigin || header.name == kHeaderPosition) {
            letter_.add_header(header.name, header.value);
        }
    }
    return letter_;
}

/// The sides that the record has: of a key change's two records each has one.
void DeadLetters::append_columns(const OversizeRecord& oversize)
{
    const Change& change = oversize.change;
    const char op = oversize.record.op;
    const std::optional<Tuple> none;
    const std::optional<Tuple>& before = op == 'd' || op == 'u' ? change.before : none;
    const std::optional<Tuple>& after = op == 'c' || op == 'u' || op == 'r' ? change.after : none;
    const char* separator = "";
    for (std::size_t at = 0; at < oversize.table.columns.size(); ++at) {
        const ColumnSchema& column = oversize.table.columns[at];
        const CaptureOptions& capture = oversize.table.capture;
        if (!capture.shows(column.name) || !ValueEncoder::for_type(column.type, values_)) {
            continue;
        }
        value_ += std::exchange(separator, ",");
        value_ += R"({"name":)";
        append_string(value_, column.name);
        // The length of a value that is hidden may tell it.
        const bool hidden = capture.alters(column.name);
        value_ += R"(,"before":)";
        append_size(value_, hidden ? none : before, at);
        value_ += R"(,"after":)";
        append_size(value_, hidden ? none : after, at);
        value_ += '}';
    }
}

void DeadLetters::log(const OversizeRecord& oversize)
{
    const auto now = Clock::now();
    const auto [logged, first] = logged_.try_emplace(oversize.table.root, now);
    if (!first && now - logged->second < kLogInterval) {
        return;
    }
    logged->second = now;
    log::warning(
        "cdc",
        "node={} table={} an event at {} is too large for its topic ({} bytes, limit {}) and goes to {} without "
        "its values; more of the same within a minute are only counted",
        node_, oversize.table.root.to_string(), oversize.context.lsn.to_string(), oversize.bytes, oversize.limit,
        topic_);
}

} // namespace keyshift::cdc
