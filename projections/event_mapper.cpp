#include "projections/event_mapper.hpp"

#include "projections/value_codec.hpp"

#include <algorithm>
#include <fmt/core.h>

namespace keyshift::projections {

namespace dom = simdjson::dom;

namespace {

/// The envelope, also inside {"schema":...,"payload":...}.
dom::element payload_of(dom::element document)
{
    dom::element payload;
    return document["payload"].get(payload) == simdjson::SUCCESS ? payload : document;
}

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

} // namespace

std::variant<EventMapper::Side, Rejection> EventMapper::read_side(dom::element row,
                                                                  const std::vector<std::string>& absent) const
{
    Side side;
    for (std::size_t index = 0; index < definition_.base_columns.size(); ++index) {
        const BaseColumn& column = definition_.base_columns[index];
        dom::element json;
        if (row.at_key(column.name).get(json) != simdjson::SUCCESS) {
            return Rejection{"bad_value", fmt::format("the event has no column {}", column.name)};
        }
        if (contains(absent, column.name)) {
            side.absent.push_back(index);
            side.row.emplace_back();
            continue;
        }
        auto value = decode_value(column, json);
        if (!value) {
            return Rejection{"bad_value", fmt::format("column {} is not of type {}", column.name, column.type)};
        }
        side.row.push_back(std::move(*value));
    }
    return side;
}

/// The projection's key and the primary key must have been in the WAL's old row.
std::optional<Rejection> EventMapper::missing_identity(const Side& before) const
{
    for (const auto* columns : {&definition_.key_base, &definition_.pk}) {
        for (const std::string& column : *columns) {
            const std::size_t index = definition_.base_column(column);
            if (std::find(before.absent.begin(), before.absent.end(), index) != before.absent.end()) {
                return Rejection{
                    "missing_identity",
                    fmt::format("the old row does not carry column {}: the table's replica identity lacks it", column)};
            }
        }
    }
    return std::nullopt;
}

std::optional<Rejection> EventMapper::null_key(const Side& side) const
{
    for (const std::string& column : definition_.key_base) {
        if (!side.row[definition_.base_column(column)]) {
            return Rejection{"null_key", fmt::format("column {} is NULL", column)};
        }
    }
    return std::nullopt;
}

bool EventMapper::same_register(const BaseRow& a, const BaseRow& b) const
{
    for (const auto* columns : {&definition_.key_base, &definition_.pk}) {
        for (const std::string& column : *columns) {
            const std::size_t index = definition_.base_column(column);
            if (a[index] != b[index]) {
                return false;
            }
        }
    }
    return true;
}

Mapped EventMapper::combine(char operation, std::optional<Side> before, std::optional<Side> after,
                            SourcePosition version, std::string node) const
{
    std::vector<RowChange> changes;
    if (after) {
        if (const auto rejection = null_key(*after)) {
            return *rejection;
        }
    }
    if (before) {
        const auto rejection = missing_identity(*before);
        if (rejection) {
            return *rejection;
        }
        if (!after || !same_register(before->row, after->row)) {
            changes.push_back({before->row, version, false, {}, node});
        }
    } else if (operation == 'd') {
        return Rejection{"missing_identity", "a delete without its old row"};
    }
    if (after) {
        // Live first: a reader may see a row twice for a moment, never not at all.
        changes.insert(changes.begin(),
                       {std::move(after->row), version, true, std::move(after->absent), std::move(node)});
    }
    return changes;
}

Mapped EventMapper::map(const kafka::Message& message)
{
    if (!message.value) {
        return std::vector<RowChange>{};
    }
    const auto position = SourcePosition::parse(message.header(kHeaderPosition).value_or(""));
    const auto origin = Origin::parse(message.header(kHeaderOrigin).value_or(""));
    const auto absent = AbsentColumns::parse(message.header(kHeaderAbsent).value_or(""));
    if (!position || !origin || !absent) {
        return Rejection{"no_position",
                         "the record lacks Keyshift's headers, or they do not read: it was not written by Keyshift"};
    }
    dom::element document;
    if (parser_.parse(*message.value).get(document) != simdjson::SUCCESS) {
        return Rejection{"bad_json", "the value is not JSON"};
    }
    const dom::element event = payload_of(document);
    std::string_view operation;
    if (event["op"].get(operation) != simdjson::SUCCESS || operation.size() != 1) {
        return Rejection{"bad_json", "the value has no op"};
    }
    if (operation == "t") {
        return Rejection{
            "unsupported",
            "TRUNCATE: run `keyshift projection verify`, and drop and create the projection where it differs"};
    }
    std::optional<Side> sides[2];
    for (const auto& [index, name] : {std::pair(0, "before"), std::pair(1, "after")}) {
        dom::element row;
        if (event[name].get(row) != simdjson::SUCCESS || row.is_null()) {
            continue;
        }
        auto side = read_side(row, index == 0 ? absent->before : absent->after);
        if (std::holds_alternative<Rejection>(side)) {
            return std::get<Rejection>(side);
        }
        sides[index] = std::get<Side>(std::move(side));
    }
    return combine(operation[0], std::move(sides[0]), std::move(sides[1]), *position, origin->node);
}

} // namespace keyshift::projections
