#pragma once
/// A change as Debezium's records: envelope, key, headers. Debezium 3.2 PostgreSQL connector, "Data change events".
/// One thread; the texts it returns live until the next call.

#include "cdc/options.hpp"
#include "cdc/publish/event_publisher.hpp"
#include "cdc/publish/table_encoder.hpp"
#include "core/kafka/client.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyshift::cdc {

/// One record, ready for the producer; views into the encoder.
struct EncodedRecord {
    char op = 'c';                         ///< c u d r t, or 0 for a tombstone
    std::optional<std::string_view> key;
    std::optional<std::string_view> value; ///< nullopt: a tombstone
    std::vector<kafka::Header> headers;
};

class EventEncoder {
public:
    EventEncoder(const CdcOptions& options, std::string database) : options_(options), database_(std::move(database)) {}

    /// The table's prepared form; made when first seen in this version.
    const TableEncoder& table(const TableSchema& schema);
    /// 0 to 3 records of one change. `now_ns`: the wall clock in nanoseconds since the epoch.
    std::span<const EncodedRecord> encode(const EventContext& context, const TableEncoder& table, const Change& change, std::int64_t now_ns);

private:
    void add_value(const EventContext& context, const TableEncoder& table, char op, const Tuple* before, bool before_is_key, const Tuple* after,
                   const Tuple* old, std::int64_t now_ns);
    void append_source(std::string& out, const EventContext& context, const TableEncoder& table) const;
    void key_change(const EventContext& context, const TableEncoder& table, const Change& change, std::int64_t now_ns);
    /// A record over the texts that `values_` and `keys_` hold; a missing index: no key, a tombstone.
    void add_record(char op, std::optional<std::size_t> key, std::optional<std::size_t> value, const std::string& absent,
                    std::pair<std::string_view, std::string_view> extra = {});
    std::size_t add_key(const TableEncoder& table, const Tuple& row);

    const CdcOptions& options_;
    std::string database_;
    /// By root: only the newest version of a table is kept.
    std::map<QualifiedName, std::pair<std::uint64_t, std::unique_ptr<TableEncoder>>> tables_;
    // Reused from change to change; at most two of each are in use.
    std::string keys_[2];
    std::string values_[2];
    std::size_t key_count_ = 0;
    std::size_t value_count_ = 0;
    std::string position_;
    std::string origin_;
    std::string absent_[2];
    std::vector<EncodedRecord> records_;
};

} // namespace keyshift::cdc
