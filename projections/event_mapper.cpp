#include "projections/event_mapper.hpp"

#include "core/json.hpp"
#include "projections/envelope.hpp"
#include "projections/value_codec.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace dom = simdjson::dom;

namespace {

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

EventMapper::EventMapper(const Definition& definition, ComputedKeys* keys)
    : definition_(definition), keys_(keys != nullptr && keys->any() ? keys : nullptr)
{
    std::vector<std::string> identity = key_sources(definition);
    identity.insert(identity.end(), definition.pk.begin(), definition.pk.end());
    for (const std::string& column : identity) {
        identity_columns_.push_back(definition.base_column(column));
    }
}

std::optional<std::size_t> EventMapper::find_column(std::string_view name, std::size_t likely) const
{
    const auto& columns = definition_.base_columns;
    const auto fits = [&](std::size_t index) {
        return columns[index].name == name && columns[index].computed.empty();
    };
    if (likely < columns.size() && fits(likely)) {
        return likely;
    }
    for (std::size_t index = 0; index < columns.size(); ++index) {
        if (fits(index)) {
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
        const bool computed = !definition_.base_columns[index].computed.empty();
        if (!seen[index] && !computed && !read_former(side, index, row, absent)) {
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
    for (const std::size_t index : identity_columns_) {
        if (contains(before.absent, index)) {
            return Rejection{"missing_identity",
                             fmt::format("the old row does not carry column {}: the table's replica identity lacks it",
                                         definition_.base_columns[index].name)};
        }
        if (contains(before.unreadable, index)) {
            return before.fault;
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

Mapped EventMapper::combine(Opened& event) const
{
    const std::optional<Side>& before = event.before;
    std::optional<Side>& after = event.after;
    if (!before && event.operation == 'd') {
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
        changes.push_back({before->row, event.version, false, {}, event.node});
    }
    if (after && !after->fault && (after->nowhere || (definition_.skip_null && has_null_key(*after)))) {
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
        changes.insert(changes.begin(), {std::move(after->row), event.version, true, std::move(after->absent),
                                         std::move(event.node), std::nullopt, event.transaction});
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

/// NULL in the place of a value that did not come would give a key, and a wrong one.
void EventMapper::blame_absent_sources(Side& side) const
{
    for (const std::size_t index : identity_columns_) {
        if (contains(side.absent, index)) {
            blame(side.fault, "missing_identity",
                  fmt::format("the event does not carry column {}, which the key is made from",
                              definition_.base_columns[index].name));
        }
    }
}

/// Each side that can be keyed. An old row that the expressions fail for was nowhere: it has had no key.
void EventMapper::compute_keys(std::vector<Opened>& events) const
{
    std::vector<RowToKey> rows;
    std::vector<Side*> afters;
    for (Opened& event : events) {
        if (event.outcome) {
            continue;
        }
        if (event.before) {
            rows.push_back({&event.before->row, false}); // of which only the identity has come
            afters.push_back(nullptr);
        }
        if (event.after) {
            blame_absent_sources(*event.after);
        }
        if (event.after && !event.after->fault) {
            rows.push_back({&event.after->row, event.after->absent.empty()});
            afters.push_back(&*event.after);
        }
    }
    keys_->compute(rows);
    for (std::size_t at = 0; at < rows.size(); ++at) {
        if (afters[at] == nullptr) {
            continue;
        }
        afters[at]->nowhere = rows[at].nowhere;
        if (!rows[at].fault.empty()) {
            blame(afters[at]->fault, "refused_by_postgresql", rows[at].fault);
        }
    }
}

Mapped EventMapper::map(const kafka::Message& message)
{
    if (keys_ != nullptr) {
        return std::move(map(std::span(&message, 1)).front());
    }
    return decide(message, open(message));
}

std::vector<Mapped> EventMapper::map(std::span<const kafka::Message> messages)
{
    std::vector<Mapped> mapped;
    mapped.reserve(messages.size());
    if (keys_ == nullptr) {
        for (const kafka::Message& message : messages) {
            mapped.push_back(decide(message, open(message)));
        }
        return mapped;
    }
    std::vector<Opened> events;
    events.reserve(messages.size());
    for (const kafka::Message& message : messages) {
        events.push_back(open(message));
    }
    compute_keys(events);
    for (std::size_t at = 0; at < messages.size(); ++at) {
        mapped.push_back(decide(messages[at], std::move(events[at])));
    }
    return mapped;
}

Mapped EventMapper::decide(const kafka::Message& message, Opened event)
{
    Mapped mapped = event.outcome ? *std::move(event.outcome) : combine(event);
    if (auto* rejection = std::get_if<Rejection>(&mapped); rejection != nullptr && rejection->row.empty()) {
        rejection->row = row_of(message, event.before, event.after);
    }
    return mapped;
}

EventMapper::Opened EventMapper::open(const kafka::Message& message)
{
    Opened event;
    const auto position = SourcePosition::parse(message.header(kHeaderPosition).value_or(""));
    const auto origin = Origin::parse(message.header(kHeaderOrigin).value_or(""));
    const auto absent = AbsentColumns::parse(message.header(kHeaderAbsent).value_or(""));
    if (!message.value) {
        event.outcome = Mapped();
        return event;
    }
    if (!position || !origin || !absent) {
        event.outcome = Rejection{
            "no_position", "the record lacks Keyshift's headers, or they do not read: it was not written by Keyshift"};
        return event;
    }
    dom::element document;
    if (parser_.parse(*message.value).get(document) != simdjson::SUCCESS) {
        event.outcome = Rejection{"bad_json", "the value is not JSON"};
        return event;
    }
    const Envelope envelope = open_envelope(payload_of(document));
    if (envelope.twice || envelope.operation.size() != 1) {
        event.outcome =
            Rejection{"bad_json", envelope.twice ? "op, before or after stands twice" : "the value has no op"};
        return event;
    }
    if (envelope.operation == "t") {
        event.outcome = Mapped(); // the control topic tells of it, whether there are such events or not
        return event;
    }
    event.operation = envelope.operation[0];
    event.version = *position;
    event.node = origin->node;
    if (envelope.sides[0]) {
        event.before = read_side(*envelope.sides[0], absent->before);
    }
    if (envelope.sides[1]) {
        event.after = read_side(*envelope.sides[1], absent->after);
    }
    if (event.after && !event.after->absent.empty()) {
        event.transaction = transaction_of(payload_of(document));
    }
    return event;
}

} // namespace keyshift::projections
