#include "cdc/publish/event_encoder.hpp"

#include "cdc/publish/json_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace keyshift::cdc {

namespace {

/// Of one table: rows that are read may be of another version than what is streamed, and both come in turn.
constexpr std::size_t kMostVersions = 4;

/// ts_ms, ts_us, ts_ns of one moment as the envelope ends with them: the same digits, fewer or more of them.
void append_times(std::string& out, std::int64_t nanoseconds)
{
    std::array<char, 24> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), nanoseconds).ptr;
    const std::string_view digits(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
    const auto without = [&](std::size_t last) {
        return digits.size() > last ? digits.substr(0, digits.size() - last) : "0";
    };
    out += R"(,"ts_ms":)";
    out += without(6);
    out += R"(,"ts_us":)";
    out += without(3);
    out += R"(,"ts_ns":)";
    out += digits;
    out += '}';
}

} // namespace

const TableEncoder& EventEncoder::table(const TableSchema& schema)
{
    if (last_schema_ == &schema && last_version_ == schema.version) {
        return *last_table_;
    }
    std::deque<Version>& versions = tables_[schema.root];
    auto known = std::ranges::find(versions, schema.version, &Version::number);
    if (known == versions.end()) {
        if (versions.size() == kMostVersions) {
            versions.pop_front();
            source_.forget();
        }
        versions.push_back({schema.version, std::make_unique<TableEncoder>(schema, options_, database_)});
        known = std::prev(versions.end());
    }
    last_schema_ = &schema;
    last_version_ = schema.version;
    last_table_ = known->encoder.get();
    return *last_table_;
}

void EventEncoder::add_value(const EventContext& context, const TableEncoder& table, char op, const Sides& sides,
                             std::int64_t now_ns)
{
    std::string& out = values_[value_count_];
    out = table.value_head();
    out += R"({"before":)";
    if (sides.before == nullptr) {
        out += "null";
    } else if (sides.before_is_key) {
        table.append_identity(out, *sides.before);
    } else {
        table.append_row(out, *sides.before, nullptr);
    }
    out += R"(,"after":)";
    if (sides.after == nullptr) {
        out += "null";
    } else {
        table.append_row(out, *sides.after, sides.old);
    }
    out += R"(,"source":)";
    source_.append(out, context, table);
    out += R"(,"transaction":)";
    if (transactions_.open() && context.snapshot == "false") {
        transactions_.append_block(out, table.name(), context.lsn);
    } else {
        out += "null";
    }
    out += R"(,"op":")";
    out += op;
    out += '"';
    append_times(out, now_ns);
    out += table.close();
    absent_[value_count_] = table.absent(sides.before_is_key, sides.after, sides.old);
    ++value_count_;
}

std::size_t EventEncoder::add_key(const TableEncoder& table, const Tuple& row, const Tuple* old)
{
    std::string& key = keys_[key_count_];
    key = table.key_head();
    table.append_key(key, row, old);
    key += table.close();
    return key_count_++;
}

void EventEncoder::add_record(char op, std::optional<std::size_t> key, std::optional<std::size_t> value,
                              const std::string& absent, std::pair<std::string_view, std::string_view> extra)
{
    EncodedRecord& record = records_.emplace_back();
    record.op = op;
    if (key) {
        record.key = keys_[*key];
    }
    if (value) {
        record.value = values_[*value];
    }
    if (!extra.first.empty()) {
        record.add_header(extra.first, extra.second);
    }
    if (options_.extended_headers) {
        record.add_header("__debezium.context.connectorLogicalName", options_.topic_prefix);
        record.add_header("__debezium.context.taskId", "0");
        record.add_header("__debezium.context.connectorName", "postgresql");
    }
    record.add_header(kHeaderOrigin, origin_);
    record.add_header(kHeaderPosition, position_);
    if (!absent.empty()) {
        record.add_header(kHeaderAbsent, absent);
    }
}

void EventEncoder::key_change(const EventContext& context, const TableEncoder& table, const Change& change,
                              std::int64_t now_ns)
{
    const Tuple& before = *change.before;
    const std::size_t old_key = add_key(table, before, nullptr);
    const std::size_t new_key = add_key(table, *change.after, &before);
    key_headers_[0].clear();
    table.append_key_header(key_headers_[0], before, nullptr);
    key_headers_[1].clear();
    table.append_key_header(key_headers_[1], *change.after, &before);
    add_value(context, table, 'd', {.before = &before, .before_is_key = change.old_is_key}, now_ns);
    add_record('d', old_key, 0, absent_[0], {"__debezium.newkey", key_headers_[1]});
    if (options_.tombstones) {
        add_record(0, old_key, std::nullopt, {}, {"__debezium.newkey", key_headers_[1]});
    }
    add_value(context, table, 'c', {.after = &*change.after, .old = &before}, now_ns);
    add_record('c', new_key, 1, absent_[1], {"__debezium.oldkey", key_headers_[0]});
}

std::span<const EncodedRecord> EventEncoder::encode(const EventContext& context, const TableEncoder& table,
                                                    const Change& change, std::int64_t now_ns)
{
    records_.clear();
    key_count_ = 0;
    value_count_ = 0;
    position_.clear();
    context.position.append_to(position_);
    if (origin_.empty() || origin_bucket_ != context.origin.bucket || origin_node_ != context.origin.node) {
        origin_ = context.origin.to_string();
        origin_bucket_ = context.origin.bucket;
        origin_node_ = context.origin.node;
    }
    const Tuple* before = change.before ? &*change.before : nullptr;
    const Tuple* after = change.after ? &*change.after : nullptr;
    const auto key_of = [&](const Tuple& row, const Tuple* old) {
        return table.has_key() ? std::optional(add_key(table, row, old)) : std::nullopt;
    };
    switch (change.kind) {
    case ChangeKind::insert: {
        const char op = context.snapshot == "false" ? 'c' : 'r';
        add_value(context, table, op, {.after = after}, now_ns);
        add_record(op, key_of(*after, nullptr), 0, absent_[0]);
        break;
    }
    case ChangeKind::update: {
        if (before != nullptr && table.has_key() && !table.same_key(*before, *after)) {
            key_change(context, table, change, now_ns);
            break;
        }
        add_value(context, table, 'u',
                  {.before = before, .before_is_key = change.old_is_key, .after = after, .old = before}, now_ns);
        add_record('u', key_of(*after, before), 0, absent_[0]);
        break;
    }
    case ChangeKind::remove: {
        const auto key = key_of(*before, nullptr);
        add_value(context, table, 'd', {.before = before, .before_is_key = change.old_is_key}, now_ns);
        add_record('d', key, 0, absent_[0]);
        if (options_.tombstones) {
            add_record(0, key, std::nullopt, {});
        }
        break;
    }
    case ChangeKind::truncate:
        if (options_.truncate) {
            add_value(context, table, 't', {}, now_ns);
            add_record('t', std::nullopt, 0, absent_[0]);
        }
        break;
    }
    return records_;
}

} // namespace keyshift::cdc
