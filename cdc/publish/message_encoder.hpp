#pragma once
/// Records that are of no table: logical messages (topic `<prefix>.message`) and the transaction topic. One thread; the
/// texts live until the next call.

#include "cdc/options.hpp"
#include "cdc/publish/event_encoder.hpp"
#include "cdc/publish/transaction_metadata.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace keyshift::cdc {

class MessageEncoder {
public:
    MessageEncoder(const CdcOptions& options, const std::string& database);

    const std::string& message_topic() const { return message_topic_; }
    const std::string& transaction_topic() const { return transaction_topic_; }
    /// `transactions`: counts the message when it is in an open transaction.
    EncodedRecord message(const EventContext& context, const LogicalMessage& message, TransactionMetadata& transactions,
                          std::int64_t now_ns);
    /// `node`: several share the topic, and only together with the node an id is unique.
    EncodedRecord transaction(const std::string& node, const TransactionRecord& record);

private:
    void append_content(std::string_view content);

    const bool schemas_;
    const BinaryMode binary_;
    std::string message_topic_;
    std::string transaction_topic_;
    TableEncoder nowhere_; ///< source.schema and source.table of a message are empty
    SourceBlock source_;
    std::string key_;
    std::string value_;
    std::string origin_;
    std::string position_;
};

} // namespace keyshift::cdc
