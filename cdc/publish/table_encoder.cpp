#include "cdc/publish/table_encoder.hpp"

#include "cdc/publish/json_text.hpp"

namespace keyshift::cdc {

namespace {

/// The release whose envelope ours is; consumers may read it.
constexpr std::string_view kVersion = "3.2.0.Final";

std::string quoted(std::string_view text)
{
    std::string out;
    append_string(out, text);
    return out;
}

std::string filler_of(const ColumnSchema& column, const ValueEncoder& encoder)
{
    std::string out;
    if (!column.not_null) {
        out = "null";
    } else if (column.default_literal) {
        encoder.append(out, *column.default_literal);
    } else {
        encoder.append_zero(out);
    }
    return out;
}

} // namespace

TableEncoder::TableEncoder(const TableSchema& table, const CdcOptions& options, const std::string& database)
    : topic_(data_topic(options.topic_prefix, table.root.schema, table.root.name)), name_(table.root.to_string()),
      key_indexes_(table.key)
{
    for (std::size_t index = 0; index < table.columns.size(); ++index) {
        const ColumnSchema& column = table.columns[index];
        const auto encoder = ValueEncoder::for_type(column.type, options.decimal);
        if (!encoder) {
            continue;
        }
        const bool held = column.identity || table.identity == 'f';
        columns_.push_back({index, quoted(column.name) + ":", column.name, *encoder, held, filler_of(column, *encoder)});
        if (!held) {
            outside_identity_.push_back(column.name);
        }
    }
    for (const std::size_t index : table.key) {
        for (const Column& column : columns_) {
            if (column.index == index) {
                key_.push_back(column);
            }
        }
    }
    source_head_ = R"({"version":")" + std::string(kVersion) + R"(","connector":"postgresql","name":)" + quoted(options.topic_prefix) + R"(,"ts_ms":)";
    source_db_ = R"(,"db":)" + quoted(database) + R"(,"sequence":)";
    source_table_ = R"(,"schema":)" + quoted(table.root.schema) + R"(,"table":)" + quoted(table.root.name) + R"(,"txId":)";
}

void TableEncoder::append_value(std::string& out, const Column& column, const Tuple& row, const Tuple* old)
{
    const Datum& datum = row[column.index];
    switch (datum.kind) {
    case Datum::Kind::null: out += "null"; return;
    case Datum::Kind::text: column.encoder.append(out, datum.text); return;
    case Datum::Kind::unchanged_toast: break;
    }
    if (old != nullptr && (*old)[column.index].kind == Datum::Kind::text) {
        column.encoder.append(out, (*old)[column.index].text);
    } else {
        column.encoder.append_unavailable(out);
    }
}

void TableEncoder::append_key(std::string& out, const Tuple& row) const
{
    char before = '{';
    for (const Column& column : key_) {
        out += before;
        out += column.name;
        append_value(out, column, row, nullptr);
        before = ',';
    }
    out += '}';
}

void TableEncoder::append_row(std::string& out, const Tuple& row, const Tuple* old) const
{
    out += '{';
    bool first = true;
    for (const Column& column : columns_) {
        if (!first) {
            out += ',';
        }
        first = false;
        out += column.name;
        append_value(out, column, row, old);
    }
    out += '}';
}

void TableEncoder::append_identity(std::string& out, const Tuple& row) const
{
    out += '{';
    bool first = true;
    for (const Column& column : columns_) {
        if (!first) {
            out += ',';
        }
        first = false;
        out += column.name;
        if (column.identity) {
            append_value(out, column, row, nullptr);
        } else {
            out += column.filler;
        }
    }
    out += '}';
}

bool TableEncoder::same_key(const Tuple& before, const Tuple& after) const
{
    for (const std::size_t index : key_indexes_) {
        // An unchanged TOAST value of a key column is, as it says, unchanged.
        if (after[index].kind == Datum::Kind::text && before[index].text != after[index].text) {
            return false;
        }
    }
    return true;
}

std::vector<std::string> TableEncoder::absent_after(const Tuple& row, const Tuple* old) const
{
    std::vector<std::string> names;
    for (const Column& column : columns_) {
        const bool filled = old != nullptr && (*old)[column.index].kind == Datum::Kind::text;
        if (row[column.index].kind == Datum::Kind::unchanged_toast && !filled) {
            names.push_back(column.raw_name);
        }
    }
    return names;
}

std::vector<std::pair<std::string, std::string>> unsupported_columns(const TableSchema& table, DecimalMode decimal)
{
    std::vector<std::pair<std::string, std::string>> columns;
    for (const ColumnSchema& column : table.columns) {
        if (!ValueEncoder::for_type(column.type, decimal)) {
            columns.emplace_back(column.name, column.type.name);
        }
    }
    return columns;
}

} // namespace keyshift::cdc
