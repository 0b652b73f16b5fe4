#include "projections/event_mapper.hpp"

#include "core/json.hpp"
#include "projections/value_codec.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace dom = simdjson::dom;

namespace {

/// What of an envelope counts here. A name that stands twice has no meaning: readers differ in which one they take.
struct Envelope {
    std::string_view operation;
    std::optional<dom::element> sides[2]; ///< before, after; nullopt: absent or null
    bool twice = false;
};

/// The envelope, also inside {"schema":...,"payload":...}.
dom::element payload_of(dom::element document)
{
    dom::element payload;
    return document["payload"].get(payload) == simdjson::SUCCESS ? payload : document;
}

Envelope open_envelope(dom::element event)
{
    Envelope envelope;
    dom::object fields;
    if (event.get(fields) != simdjson::SUCCESS) {
        return envelope;
    }
    bool seen[3] = {};
    for (const dom::key_value_pair field : fields) {
        const int which = field.key == "before" ? 0 : field.key == "after" ? 1 : field.key == "op" ? 2 : -1;
        if (which < 0) {
            continue;
        }
        envelope.twice = envelope.twice || seen[which];
        seen[which] = true;
        if (which == 2) {
            if (field.value.get(envelope.operation) != simdjson::SUCCESS) {
                envelope.operation = {};
            }
        } else if (!field.value.is_null()) {
            envelope.sides[which] = field.value;
        }
    }
    return envelope;
}

std::optional<std::uint32_t> transaction_of(dom::element event)
{
    std::uint64_t number = 0;
    if (event["source"]["txId"].get(number) != simdjson::SUCCESS) {
        return std::nullopt; // of a snapshot's row
    }
    return static_cast<std::uint32_t>(number);
}

bool contains(const auto& all, const auto& one)
{
    return std::find(all.begin(), all.end(), one) != all.end();
}

void blame(std::optional<Rejection>& fault, const std::string& reason, std::string detail)
{
    if (!fault) {
        fault = Rejection{reason, std::move(detail)};
    }
}

} // namespace

std::string row_identity(const Definition& definition, const BaseRow& row)
{
    nlohmann::json values = nlohmann::json::array();
    for (const std::string& column : definition.pk) {
        const auto& value = row[definition.base_column(column)];
        if (!value) {
            return {};
        }
        values.push_back(*value);
    }
    return values.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<std::size_t> EventMapper::find_column(std::string_view name, std::size_t likely) const
{
    const auto& columns = definition_.base_columns;
    if (likely < columns.size() && columns[likely].name == name) {
        return likely;
    }
    for (std::size_t index = 0; index < columns.size(); ++index) {
        if (columns[index].name == name) {
            return index;
        }
    }
    return std::nullopt;
}

void EventMapper::read_column(Side& side, std::size_t index, std::string_view name, dom::element json,
                              const std::vector<std::string>& absent) const
{
    const BaseColumn& column = definition_.base_columns[index];
    if (contains(absent, name)) {
        side.absent.push_back(index);
    } else if (auto value = decode_value(column, json)) {
        side.row[index] = std::move(*value);
    } else {
        side.unreadable.push_back(index);
        blame(side.fault, "bad_value", fmt::format("column {} is not of type {}", column.name, column.type));
    }
}

bool EventMapper::read_former(Side& side, std::size_t index, dom::element row,
                              const std::vector<std::string>& absent) const
{
    const std::vector<std::string>& names = definition_.base_columns[index].former;
    dom::object fields;
    if (names.empty() || row.get(fields) != simdjson::SUCCESS) {
        return false;
    }
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
        std::vector<dom::element> found;
        for (const dom::key_value_pair field : fields) {
            if (field.key == *name) {
                found.push_back(field.value);
            }
        }
        if (found.size() == 1) {
            read_column(side, index, *name, found.front(), absent);
            return true;
        }
    }
    return false;
}

EventMapper::Side EventMapper::read_side(dom::element row, const std::vector<std::string>& absent) const
{
    Side side;
    side.row.resize(definition_.base_columns.size());
    std::vector<bool> seen(side.row.size());
    dom::object fields;
    if (row.get(fields) != simdjson::SUCCESS) {
        blame(side.fault, "bad_json", "a row is no object");
    } else {
        std::size_t likely = 0;
        for (const dom::key_value_pair field : fields) {
            const auto index = find_column(field.key, likely);
            if (!index) {
                continue;
            }
            if (seen[*index]) {
                side.unreadable.push_back(*index);
                blame(side.fault, "bad_json", fmt::format("column {} stands twice", field.key));
                continue;
            }
            seen[*index] = true;
            likely = *index + 1;
            read_column(side, *index, field.key, field.value, absent);
        }
    }
    for (std::size_t index = 0; index < seen.size(); ++index) {
        if (!seen[index] && !read_former(side, index, row, absent)) {
            side.unreadable.push_back(index);
            blame(side.fault, "unknown_schema",
                  fmt::format("the event has no column {}", definition_.base_columns[index].name));
        }
    }
    std::sort(side.absent.begin(), side.absent.end());
    return side;
}

std::optional<Rejection> EventMapper::identity_fault(const Side& before) const
{
    for (const auto* columns : {&definition_.key_base, &definition_.pk}) {
        for (const std::string& column : *columns) {
            const std::size_t index = definition_.base_column(column);
            if (contains(before.absent, index)) {
                return Rejection{
                    "missing_identity",
                    fmt::format("the old row does not carry column {}: the table's replica identity lacks it", column)};
            }
            if (contains(before.unreadable, index)) {
                return before.fault;
            }
        }
    }
    return std::nullopt;
}

bool EventMapper::has_null_key(const Side& side) const
{
    return std::any_of(definition_.key_base.begin(), definition_.key_base.end(),
                       [&](const std::string& column) { return !side.row[definition_.base_column(column)]; });
}

bool EventMapper::has_left(const Side& before, const Side& after) const
{
    for (const std::string& column : definition_.pk) {
        const std::size_t index = definition_.base_column(column);
        if (contains(after.unreadable, index)) {
            return false; // nobody knows whether it is the same row
        }
        if (before.row[index] != after.row[index]) {
            return true;
        }
    }
    // A key that does not read is none that the row was under.
    return std::any_of(definition_.key_base.begin(), definition_.key_base.end(), [&](const std::string& column) {
        const std::size_t index = definition_.base_column(column);
        return before.row[index] != after.row[index];
    });
}

Mapped EventMapper::combine(char operation, const std::optional<Side>& before, std::optional<Side>& after,
                            SourcePosition version, std::string node) const
{
    if (!before && operation == 'd') {
        return Rejection{"missing_identity", "a delete without its old row"};
    }
    if (before) {
        if (auto fault = identity_fault(*before)) {
            return *fault;
        }
    }
    std::vector<RowChange> changes;
    // A row without a key was in no projection.
    if (before && !has_null_key(*before) && (!after || has_left(*before, *after))) {
        changes.push_back({before->row, version, false, {}, node});
    }
    if (after && !after->fault && definition_.skip_null && has_null_key(*after)) {
        return changes; // it has left its place, and has no other
    }
    if (after && (after->fault || has_null_key(*after))) {
        Rejection rejection =
            after->fault ? *after->fault : Rejection{"null_key", "a column of the projection's key is NULL"};
        rejection.left = std::move(changes);
        return rejection;
    }
    if (after) {
        // Live first: a reader may see a row twice for a moment, never not at all.
        changes.insert(changes.begin(),
                       {std::move(after->row), version, true, std::move(after->absent), std::move(node)});
    }
    return changes;
}

std::string EventMapper::row_of(const kafka::Message& message, const std::optional<Side>& before,
                                const std::optional<Side>& after)
{
    for (const auto* side : {&after, &before}) {
        if (*side) {
            if (std::string row = row_identity(definition_, (*side)->row); !row.empty()) {
                return row;
            }
        }
    }
    dom::element key;
    if (message.key && key_parser_.parse(*message.key).get(key) == simdjson::SUCCESS) {
        return row_identity(definition_, read_side(payload_of(key), {}).row);
    }
    return {};
}

Mapped EventMapper::map(const kafka::Message& message)
{
    if (!message.value) {
        return std::vector<RowChange>{};
    }
    Mapped mapped = map_event(message);
    if (auto* rejection = std::get_if<Rejection>(&mapped); rejection != nullptr && rejection->row.empty()) {
        rejection->row = row_of(message, std::nullopt, std::nullopt);
    }
    return mapped;
}

Mapped EventMapper::map_event(const kafka::Message& message)
{
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
    const Envelope event = open_envelope(payload_of(document));
    if (event.twice || event.operation.size() != 1) {
        return Rejection{"bad_json", event.twice ? "op, before or after stands twice" : "the value has no op"};
    }
    if (event.operation == "t") {
        return Mapped(); // the control topic tells of it, whether there are such events or not
    }
    std::optional<Side> before;
    std::optional<Side> after;
    if (event.sides[0]) {
        before = read_side(*event.sides[0], absent->before);
    }
    if (event.sides[1]) {
        after = read_side(*event.sides[1], absent->after);
    }
    Mapped mapped = combine(event.operation[0], before, after, *position, origin->node);
    if (auto* rejection = std::get_if<Rejection>(&mapped)) {
        rejection->row = row_of(message, before, after);
        return mapped;
    }
    for (RowChange& change : std::get<std::vector<RowChange>>(mapped)) {
        if (!change.absent.empty()) {
            change.transaction = transaction_of(payload_of(document));
        }
    }
    return mapped;
}

} // namespace keyshift::projections
