#pragma once
/// One version of one table, prepared for writing: column names as JSON, an encoder per column, the parts of the source
/// block that do not change. Built once per TableSchema::version; used by the stream's thread.

#include "cdc/options.hpp"
#include "cdc/publish/column_treatment.hpp"
#include "cdc/publish/value_encoder.hpp"
#include "cdc/source/change.hpp"
#include "core/change_event.hpp"
#include "core/schema.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyshift::cdc {

class TableEncoder {
public:
    TableEncoder(const TableSchema& table, const CdcOptions& options, const std::string& database);

    const std::string& topic() const { return topic_; }
    const std::string& name() const { return name_; } ///< "schema.table"
    bool has_key() const { return !key_.empty(); }

    /// What goes before a value's and a key's JSON: the schema, or nothing. Where there is one, close() goes behind.
    const std::string& value_head() const { return value_head_; }
    const std::string& key_head() const { return key_head_; }
    std::string_view close() const { return value_head_.empty() ? "" : "}"; }

    /// {"id":1}; the key columns' values from `row`, or from `old` where `row` has unchanged TOAST.
    void append_key(std::string& out, const Tuple& row, const Tuple* old) const;
    /// The key as the headers of a key change have it.
    void append_key_header(std::string& out, const Tuple& row, const Tuple* old) const;
    /// A whole row. Unchanged TOAST is taken from `old` (row or key) where it has the value, else the placeholder.
    void append_row(std::string& out, const Tuple& row, const Tuple* old) const;
    /// `before` of an identity that holds only some columns: the others as Debezium fills them.
    void append_identity(std::string& out, const Tuple& row) const;
    /// True when the key columns of both rows have the same values (a key column of `row` is always there).
    bool same_key(const Tuple& before, const Tuple& after) const;

    /// Characters of JSON of the longest bytea value outside the key; 0: there is none.
    std::size_t longest_bytes(const Change& change) const;
    /// The change with an empty value for each of these that is longer than `limit`, and how much shorter that makes the
    /// JSON of its two sides.
    struct Shortened {
        Change change;
        std::size_t before = 0;
        std::size_t after = 0;

        /// Of the record with this `op` (EncodedRecord).
        std::size_t by(char op) const
        {
            return (op == 'd' || op == 'u' ? before : 0) + (op == 'c' || op == 'u' || op == 'r' ? after : 0);
        }
    };
    Shortened shorten(const Change& change, std::size_t limit) const;

    /// The header keyshift.absent: columns that the WAL did not carry, or JSON cannot. Empty: none.
    std::string absent(bool before_is_key, const Tuple* after, const Tuple* old) const;

    /// From `"name":...` of the source block: up to ts_ms, from ,"db" to sequence, from ,"schema" to txId.
    const std::string& source_head() const { return source_head_; }
    const std::string& source_db() const { return source_db_; }
    const std::string& source_table() const { return source_table_; }

private:
    struct Column {
        std::size_t index = 0; ///< in the tuple
        std::string name;      ///< as JSON with colon: "\"id\":"
        std::string raw_name;
        ValueEncoder encoder;
        bool identity = false;
        std::string filler;                       ///< JSON in `before` when the identity does not hold the column
        std::optional<ColumnTreatment> treatment; ///< its values are kept from events
    };

    void add_columns(const TableSchema& table, const CdcOptions& options);
    /// Those of the options where they name some, else those that tell rows apart.
    void add_key(const TableSchema& table);
    void add_schemas(const TableSchema& table, const CdcOptions& options);
    static std::size_t length(const Column& column, const std::optional<Tuple>& row);
    static void append_treated(std::string& out, const Column& column, const Tuple& row, const Tuple* old);
    static void append_value(std::string& out, const Column& column, const Tuple& row, const Tuple* old);

    std::string topic_;
    std::string name_;
    std::vector<Column> columns_;
    std::vector<Column> key_;
    std::vector<std::size_t> key_indexes_;
    std::vector<std::size_t> bytes_; ///< in columns_: bytea, written as it is, and not in the key
    std::vector<std::string> outside_identity_;
    std::string absent_before_; ///< the header when only `before` lacks columns
    std::string source_head_;
    std::string source_db_;
    std::string source_table_;
    std::string value_head_;
    std::string key_head_;
};

/// Columns whose type has no JSON form, with the type's name.
std::vector<std::pair<std::string, std::string>> unsupported_columns(const TableSchema& table,
                                                                     const ValueOptions& options);

} // namespace keyshift::cdc
