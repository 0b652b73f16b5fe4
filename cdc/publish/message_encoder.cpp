#include "cdc/publish/message_encoder.hpp"

#include "cdc/publish/bytes_text.hpp"
#include "cdc/publish/connect_schema.hpp"
#include "cdc/publish/json_text.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

/// What the transaction topic calls the messages of a transaction.
constexpr std::string_view kCollection = "message";

} // namespace

MessageEncoder::MessageEncoder(const CdcOptions& options, const std::string& database)
    : schemas_(options.schemas), binary_(options.values.binary),
      message_topic_(keyshift::message_topic(options.topic_prefix)),
      transaction_topic_(keyshift::transaction_topic(options.topic_prefix)), nowhere_(TableSchema{}, options, database)
{
}

EncodedRecord MessageEncoder::message(const EventContext& context, const LogicalMessage& message,
                                      TransactionMetadata& transactions, std::int64_t now_ns)
{
    std::string prefix;
    append_string(prefix, message.prefix);
    const std::string_view close = schemas_ ? "}" : "";
    key_ = fmt::format(R"({}{{"prefix":{}}}{})", schemas_ ? message_key_head() : "", prefix, close);
    value_ = schemas_ ? message_value_head(binary_ == BinaryMode::bytes) : "";
    value_ += fmt::format(R"({{"op":"m","ts_ms":{},"source":)", now_ns / 1'000'000);
    source_.append(value_, context, nowhere_);
    value_ += R"(,"transaction":)";
    if (message.transactional && transactions.open()) {
        transactions.append_block(value_, kCollection, context.lsn);
    } else {
        value_ += "null";
    }
    value_ += fmt::format(R"(,"message":{{"prefix":{},"content":)", prefix);
    append_content(message.content);
    value_ += "}}";
    value_ += close;

    EncodedRecord record;
    record.op = 'm';
    record.key = key_;
    record.value = value_;
    origin_ = context.origin.to_string();
    position_ = context.position.to_string();
    record.add_header(kHeaderOrigin, origin_);
    record.add_header(kHeaderPosition, position_);
    return record;
}

void MessageEncoder::append_content(std::string_view content)
{
    if (binary_ == BinaryMode::hex) {
        append_string(value_, hex_of_bytes(content));
    } else {
        append_base64_string(value_, content);
    }
}

EncodedRecord MessageEncoder::transaction(const std::string& node, const TransactionRecord& entry)
{
    key_ = schemas_ ? fmt::format("{}{}}}", transaction_key_head(), entry.key) : entry.key;
    value_ = schemas_ ? fmt::format("{}{}}}", transaction_value_head(), entry.value) : entry.value;
    origin_ = Origin{node, BucketId{0}}.to_string();
    EncodedRecord record;
    record.op = 0;
    record.key = key_;
    record.value = value_;
    record.add_header(kHeaderOrigin, origin_);
    return record;
}

} // namespace keyshift::cdc
