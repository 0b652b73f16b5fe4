#include "projections/reference/reference_event.hpp"

#include "projections/value_codec.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace dom = simdjson::dom;

namespace {

/// The envelope, also inside {"schema":...,"payload":...}.
dom::element payload_of(dom::element document)
{
    dom::element payload;
    return document["payload"].get(payload) == simdjson::SUCCESS ? payload : document;
}

Rejection bad(std::string detail)
{
    return {"bad_value", std::move(detail)};
}

/// A column of the event that the table does not have, or "".
std::string unknown_column(const ReferenceTable& table, dom::element row)
{
    dom::object fields;
    if (row.get(fields) != simdjson::SUCCESS) {
        return "(the row is no object)";
    }
    for (const dom::key_value_pair field : fields) {
        if (std::ranges::find(table.columns, field.key, &BaseColumn::name) == table.columns.end()) {
            return std::string(field.key);
        }
    }
    return {};
}

} // namespace

std::optional<Rejection> ReferenceReader::read_key(dom::element row, RowKey& key) const
{
    for (const std::size_t place : table_.key) {
        const BaseColumn& column = table_.columns[place];
        dom::element json;
        if (row.at_key(column.name).get(json) != simdjson::SUCCESS) {
            return bad("the event has no column " + column.name);
        }
        auto value = decode_value(column, json);
        if (!value || !*value) {
            return bad(fmt::format("column {} is not of type {}", column.name, column.type));
        }
        key.push_back(std::move(**value));
    }
    return std::nullopt;
}

std::optional<Rejection> ReferenceReader::read_row(dom::element row, const std::vector<std::string>& absent,
                                                   ReferenceEvent& event) const
{
    if (const std::string name = unknown_column(table_, row); !name.empty()) {
        return bad("the event has a column that the table has not: " + name);
    }
    for (std::size_t place = 0; place < table_.columns.size(); ++place) {
        const BaseColumn& column = table_.columns[place];
        dom::element json;
        if (row.at_key(column.name).get(json) != simdjson::SUCCESS) {
            return bad("the event has no column " + column.name);
        }
        if (std::ranges::find(absent, column.name) != absent.end()) {
            event.absent.push_back(place);
            event.row.emplace_back();
            continue;
        }
        auto value = decode_value(column, json);
        if (!value) {
            return bad(fmt::format("column {} is not of type {}", column.name, column.type));
        }
        event.row.push_back(std::move(*value));
    }
    return read_key(row, event.key);
}

std::variant<std::monostate, ReferenceEvent, Rejection> ReferenceReader::read(const kafka::Message& message)
{
    if (!message.value) {
        return std::monostate{};
    }
    const auto position = SourcePosition::parse(message.header(kHeaderPosition).value_or(""));
    const auto absent = AbsentColumns::parse(message.header(kHeaderAbsent).value_or(""));
    const auto origin = Origin::parse(message.header(kHeaderOrigin).value_or(""));
    if (origin && origin->node != table_.home) {
        return std::monostate{}; // of a time when the table was distributed
    }
    dom::element document;
    if (!position || !absent || parser_.parse(*message.value).get(document) != simdjson::SUCCESS) {
        return Rejection{"no_position", "the record was not written by Keyshift"};
    }
    const dom::element envelope = payload_of(document);
    std::string_view operation;
    std::int64_t xid = 0;
    if (envelope["op"].get(operation) != simdjson::SUCCESS ||
        envelope["source"]["txId"].get(xid) != simdjson::SUCCESS) {
        xid = 0; // of rows that were read, not streamed
    }
    const bool removes = operation == "d";
    if (!removes && operation != "c" && operation != "u") {
        return std::monostate{};
    }
    ReferenceEvent event;
    event.kind = removes ? ReferenceEvent::Kind::remove : ReferenceEvent::Kind::put;
    event.position = *position;
    event.xid = static_cast<std::uint32_t>(xid);
    dom::element row;
    if (envelope[removes ? "before" : "after"].get(row) != simdjson::SUCCESS || row.is_null()) {
        return bad("the event has no row");
    }
    const auto rejection = removes ? read_key(row, event.key) : read_row(row, absent->after, event);
    if (rejection) {
        return *rejection;
    }
    return event;
}

} // namespace keyshift::projections
