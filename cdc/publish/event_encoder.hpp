#pragma once
/// A change as Debezium's records: envelope, key, headers. Debezium 3.2 PostgreSQL connector, "Data change events".
/// One thread; the texts it returns live until the next call.

#include "cdc/options.hpp"
#include "cdc/publish/event_publisher.hpp"
#include "cdc/publish/source_block.hpp"
#include "cdc/publish/table_encoder.hpp"
#include "cdc/publish/transaction_metadata.hpp"
#include "core/kafka/client.hpp"

#include <array>
#include <cstdint>
#include <deque>
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
    static constexpr std::size_t kMostHeaders = 7;

    char op = 'c'; ///< c u d r t m, or 0 for a tombstone
    std::optional<std::string_view> key;
    std::optional<std::string_view> value; ///< nullopt: a tombstone
    std::array<kafka::Header, kMostHeaders> header_storage;
    std::size_t header_count = 0;

    void add_header(std::string_view name, std::string_view content)
    {
        header_storage.at(header_count++) = {name, content};
    }
    std::span<const kafka::Header> headers() const { return {header_storage.data(), header_count}; }
};

class EventEncoder {
public:
    EventEncoder(const CdcOptions& options, std::string database) : options_(options), database_(std::move(database)) {}

    /// The table's prepared form; made when first seen in this version.
    const TableEncoder& table(const TableSchema& schema);
    /// 0 to 3 records of one change. `now_ns`: the wall clock in nanoseconds since the epoch.
    std::span<const EncodedRecord> encode(const EventContext& context, const TableEncoder& table, const Change& change,
                                          std::int64_t now_ns);

    /// Where events count themselves while one of its transactions is open.
    TransactionMetadata& transactions() { return transactions_; }

private:
    /// The sides of one record's envelope.
    struct Sides {
        const Tuple* before = nullptr;
        bool before_is_key = false;
        const Tuple* after = nullptr;
        const Tuple* old = nullptr; ///< where unchanged TOAST values of `after` may be found
    };

    void add_value(const EventContext& context, const TableEncoder& table, char op, const Sides& sides,
                   std::int64_t now_ns);
    void key_change(const EventContext& context, const TableEncoder& table, const Change& change, std::int64_t now_ns);
    /// A record over the texts that `values_` and `keys_` hold; a missing index: no key, a tombstone.
    void add_record(char op, std::optional<std::size_t> key, std::optional<std::size_t> value,
                    const std::string& absent, std::pair<std::string_view, std::string_view> extra = {});
    /// `old`: holds the key's columns where `row` has unchanged TOAST values in their place.
    std::size_t add_key(const TableEncoder& table, const Tuple& row, const Tuple* old);

    const CdcOptions& options_;
    std::string database_;
    TransactionMetadata transactions_;
    struct Version {
        std::uint64_t number = 0;
        std::unique_ptr<TableEncoder> encoder;
    };
    std::map<QualifiedName, std::deque<Version>> tables_; ///< by root; the newest few
    const TableSchema* last_schema_ = nullptr;            ///< rows mostly come table by table
    std::uint64_t last_version_ = 0;
    const TableEncoder* last_table_ = nullptr;
    // Reused from change to change; at most two of each are in use.
    std::string keys_[2];
    std::string values_[2];
    std::string key_headers_[2];
    std::size_t key_count_ = 0;
    std::size_t value_count_ = 0;
    SourceBlock source_;
    std::string position_;
    std::string origin_;
    // What origin_ is of.
    std::string origin_node_;
    BucketId origin_bucket_{};
    std::string absent_[2];
    std::vector<EncodedRecord> records_;
};

} // namespace keyshift::cdc
