#include "cdc/publish/table_encoder.hpp"

#include "cdc/publish/column_default.hpp"
#include "cdc/publish/connect_schema.hpp"
#include "cdc/publish/json_text.hpp"
#include "core/error.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace keyshift::cdc {

namespace {

/// The release whose envelope ours is; consumers may read it.
constexpr std::string_view kVersion = "3.2.0.Final";
/// PostgreSQL's text of an empty bytea.
constexpr std::string_view kNoBytes = "\\x";

std::string json_string(std::string_view text)
{
    std::string out;
    append_string(out, text);
    return out;
}

std::vector<std::size_t> order_of(const TableSchema& table)
{
    std::vector<std::size_t> order = table.order;
    if (order.empty()) {
        order.resize(table.columns.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
    }
    return order;
}

} // namespace

TableEncoder::TableEncoder(const TableSchema& table, const CdcOptions& options, const std::string& database)
    : topic_(data_topic(options.topic_prefix, table.root.schema, table.root.name)), name_(table.root.to_string())
{
    add_columns(table, options);
    add_key(table);
    for (std::size_t at = 0; at < columns_.size(); ++at) {
        const Column& column = columns_[at];
        if (column.encoder.bytes_length(kNoBytes) && !column.treatment &&
            std::ranges::find(key_indexes_, column.index) == key_indexes_.end()) {
            bytes_.push_back(at);
        }
    }
    absent_before_ = AbsentColumns{outside_identity_, {}}.to_string();
    source_head_ = R"({"version":")" + std::string(kVersion) + R"(","connector":"postgresql","name":)" +
                   json_string(options.topic_prefix) + R"(,"ts_ms":)";
    source_db_ = R"(,"db":)" + json_string(database) + R"(,"sequence":)";
    source_table_ = R"(,"schema":)" + json_string(table.root.schema) + R"(,"table":)" + json_string(table.root.name) +
                    R"(,"txId":)";
    if (options.schemas) {
        add_schemas(table, options);
    }
}

void TableEncoder::add_columns(const TableSchema& table, const CdcOptions& options)
{
    for (const std::size_t index : order_of(table)) {
        const ColumnSchema& column = table.columns[index];
        const auto encoder = ValueEncoder::for_type(column.type, options.values);
        if (!encoder || !table.capture.shows(column.name)) {
            continue;
        }
        const bool held = column.identity || table.identity == 'f';
        auto treatment = ColumnTreatment::of(table, column, options.hash_salt_file);
        std::string filler = absent_value(column, *encoder);
        if (treatment) {
            filler = treatment->filler(*encoder, filler);
        }
        columns_.push_back({index, json_string(column.name) + ":", column.name, *encoder, held, std::move(filler),
                            std::move(treatment)});
        if (!held) {
            outside_identity_.push_back(column.name);
        }
    }
}

void TableEncoder::add_key(const TableSchema& table)
{
    std::vector<std::string> names = table.capture.key;
    if (names.empty()) {
        std::ranges::transform(table.key, std::back_inserter(names),
                               [&](std::size_t index) { return table.columns[index].name; });
    }
    for (const std::string& name : names) {
        const auto column = std::ranges::find(columns_, name, &Column::raw_name);
        if (column == columns_.end()) {
            const auto declared = std::ranges::find(table.columns, name, &ColumnSchema::name);
            throw FatalError(
                {"capturing " + name_,
                 declared == table.columns.end()
                     ? "its key column " + name + " is not there"
                     : "its key column " + name + " has the type " + declared->type.name +
                           ", which has no JSON form: different rows would have the same key",
                 "Give the table a primary key of other columns, or `keyshift table capture --key` others."});
        }
        key_.push_back(*column);
        key_indexes_.push_back(column->index);
    }
}

void TableEncoder::add_schemas(const TableSchema& table, const CdcOptions& options)
{
    const auto schema_of = [&](const Column& column) {
        const ColumnSchema& declared = table.columns[column.index];
        const std::string name = column.name.substr(0, column.name.size() - 1);
        return field_schema({bottom_type(declared.type), column.encoder.form(), options.values, !declared.not_null,
                             schema_default(declared, column.encoder), name,
                             column.treatment ? column.treatment->schema_parameter() : ""});
    };
    std::vector<std::string> fields;
    std::ranges::transform(columns_, std::back_inserter(fields), schema_of);
    value_head_ = connect_value_head(topic_, fields);
    fields.clear();
    std::ranges::transform(key_, std::back_inserter(fields), schema_of);
    key_head_ = connect_key_head(topic_, fields);
}

void TableEncoder::append_value(std::string& out, const Column& column, const Tuple& row, const Tuple* old)
{
    if (column.treatment) {
        append_treated(out, column, row, old);
        return;
    }
    const Datum& datum = row[column.index];
    switch (datum.kind) {
    case Datum::Kind::null:
        out += "null";
        return;
    case Datum::Kind::text:
        column.encoder.append(out, datum.text);
        return;
    case Datum::Kind::unchanged_toast:
    case Datum::Kind::binary: // never comes here
        break;
    }
    if (old != nullptr && (*old)[column.index].kind == Datum::Kind::text) {
        column.encoder.append(out, (*old)[column.index].text);
    } else {
        column.encoder.append_unavailable(out);
    }
}

void TableEncoder::append_treated(std::string& out, const Column& column, const Tuple& row, const Tuple* old)
{
    const Datum* datum = &row[column.index];
    if (datum->kind == Datum::Kind::unchanged_toast && old != nullptr &&
        (*old)[column.index].kind == Datum::Kind::text) {
        datum = &(*old)[column.index];
    }
    if (datum->kind == Datum::Kind::unchanged_toast) {
        column.treatment->append_unavailable(out, column.encoder);
    } else {
        column.treatment->append(out, column.encoder,
                                 datum->kind == Datum::Kind::text ? std::optional(datum->text) : std::nullopt);
    }
}

void TableEncoder::append_key(std::string& out, const Tuple& row, const Tuple* old) const
{
    char before = '{';
    for (const Column& column : key_) {
        out += before;
        out += column.name;
        append_value(out, column, row, old);
        before = ',';
    }
    out += '}';
}

void TableEncoder::append_key_header(std::string& out, const Tuple& row, const Tuple* old) const
{
    char before = '{';
    for (const Column& column : key_) {
        const bool in_old = row[column.index].kind == Datum::Kind::unchanged_toast && old != nullptr;
        const Datum& datum = (in_old ? *old : row)[column.index];
        out += before;
        out += column.name;
        if (datum.kind == Datum::Kind::text && !column.treatment) {
            column.encoder.append_in_header(out, datum.text);
        } else {
            append_value(out, column, row, old);
        }
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
        if (after[index].kind != Datum::Kind::unchanged_toast &&
            (before[index].kind != after[index].kind || before[index].text != after[index].text)) {
            return false;
        }
    }
    return true;
}

std::size_t TableEncoder::length(const Column& column, const std::optional<Tuple>& row)
{
    if (!row || (*row)[column.index].kind != Datum::Kind::text) {
        return 0;
    }
    return column.encoder.bytes_length((*row)[column.index].text).value_or(0);
}

std::size_t TableEncoder::longest_bytes(const Change& change) const
{
    std::size_t longest = 0;
    for (const std::size_t at : bytes_) {
        longest = std::max({longest, length(columns_[at], change.before), length(columns_[at], change.after)});
    }
    return longest;
}

TableEncoder::Shortened TableEncoder::shorten(const Change& change, std::size_t limit) const
{
    Shortened shortened{change};
    for (const std::size_t at : bytes_) {
        const Column& column = columns_[at];
        const std::size_t before = length(column, change.before);
        const std::size_t after = length(column, change.after);
        if (before > limit) {
            shortened.before += before;
            (*shortened.change.before)[column.index].text = kNoBytes;
            if (change.after && (*change.after)[column.index].kind == Datum::Kind::unchanged_toast) {
                shortened.after += before; // it is written there too
            }
        }
        if (after > limit) {
            shortened.after += after;
            (*shortened.change.after)[column.index].text = kNoBytes;
        }
    }
    return shortened;
}

std::string TableEncoder::absent(bool before_is_key, const Tuple* after, const Tuple* old) const
{
    AbsentColumns columns;
    for (const Column& column : columns_) {
        if (after == nullptr) {
            continue;
        }
        const Datum& value = (*after)[column.index];
        const bool filled = old != nullptr && (*old)[column.index].kind == Datum::Kind::text;
        const bool unchanged = value.kind == Datum::Kind::unchanged_toast && !filled;
        const bool lost = value.kind == Datum::Kind::text && !column.treatment && column.encoder.loses(value.text);
        if (unchanged || lost) {
            columns.after.push_back(column.raw_name);
        }
    }
    if (columns.after.empty()) {
        return before_is_key ? absent_before_ : std::string();
    }
    if (before_is_key) {
        columns.before = outside_identity_;
    }
    return columns.to_string();
}

std::vector<std::pair<std::string, std::string>> unsupported_columns(const TableSchema& table,
                                                                     const ValueOptions& options)
{
    std::vector<std::pair<std::string, std::string>> columns;
    for (const ColumnSchema& column : table.columns) {
        if (!ValueEncoder::for_type(column.type, options)) {
            columns.emplace_back(column.name, column.type.name);
        }
    }
    return columns;
}

} // namespace keyshift::cdc
