#include "cdc/publish/event_encoder.hpp"

#include "cdc/publish/json_text.hpp"

#include <array>
#include <charconv>

namespace keyshift::cdc {

namespace {

void append_number(std::string& out, std::int64_t value)
{
    std::array<char, 24> buffer{};
    out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
}

/// ts_ms, ts_us, ts_ns of one moment as the envelope ends with them.
void append_times(std::string& out, std::int64_t nanoseconds)
{
    out += R"(,"ts_ms":)";
    append_number(out, nanoseconds / 1'000'000);
    out += R"(,"ts_us":)";
    append_number(out, nanoseconds / 1000);
    out += R"(,"ts_ns":)";
    append_number(out, nanoseconds);
    out += '}';
}

} // namespace

const TableEncoder& EventEncoder::table(const TableSchema& schema)
{
    auto& [version, encoder] = tables_[schema.root];
    if (!encoder || version != schema.version) {
        version = schema.version;
        encoder = std::make_unique<TableEncoder>(schema, options_, database_);
    }
    return *encoder;
}

void EventEncoder::append_source(std::string& out, const EventContext& context, const TableEncoder& table) const
{
    out += table.source_head();
    append_number(out, context.commit_time_us / 1000);
    out += R"(,"snapshot":")";
    out += context.snapshot;
    out += '"';
    out += table.source_db();
    // JSON text inside JSON: ["<last commit>","<lsn>"]
    out += R"("[)";
    if (context.last_commit_lsn) {
        out += R"(\")";
        append_number(out, static_cast<std::int64_t>(context.last_commit_lsn->value));
        out += R"(\",)";
    } else {
        out += "null,";
    }
    out += R"(\")";
    append_number(out, static_cast<std::int64_t>(context.lsn.value));
    out += R"(\"]","ts_us":)";
    append_number(out, context.commit_time_us);
    out += R"(,"ts_ns":)";
    append_number(out, context.commit_time_us * 1000);
    out += table.source_table();
    append_number(out, context.xid);
    out += R"(,"lsn":)";
    append_number(out, static_cast<std::int64_t>(context.lsn.value));
    out += R"(,"xmin":null})";
}

void EventEncoder::add_value(const EventContext& context, const TableEncoder& table, char op, const Tuple* before, bool before_is_key,
                             const Tuple* after, const Tuple* old, std::int64_t now_ns)
{
    AbsentColumns absent;
    std::string& out = values_[value_count_];
    out.clear();
    out += R"({"before":)";
    if (before == nullptr) {
        out += "null";
    } else if (before_is_key) {
        table.append_identity(out, *before);
        absent.before = table.absent_before();
    } else {
        table.append_row(out, *before, nullptr);
    }
    out += R"(,"after":)";
    if (after == nullptr) {
        out += "null";
    } else {
        table.append_row(out, *after, old);
        absent.after = table.absent_after(*after, old);
    }
    out += R"(,"source":)";
    append_source(out, context, table);
    out += R"(,"transaction":null,"op":")";
    out += op;
    out += '"';
    append_times(out, now_ns);
    absent_[value_count_] = absent.empty() ? std::string() : absent.to_string();
    ++value_count_;
}

std::size_t EventEncoder::add_key(const TableEncoder& table, const Tuple& row)
{
    keys_[key_count_].clear();
    table.append_key(keys_[key_count_], row);
    return key_count_++;
}

void EventEncoder::add_record(char op, std::optional<std::size_t> key, std::optional<std::size_t> value, const std::string& absent,
                              std::pair<std::string_view, std::string_view> extra)
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
        record.headers.push_back({extra.first, extra.second});
    }
    record.headers.push_back({"__debezium.context.connectorLogicalName", options_.topic_prefix});
    record.headers.push_back({"__debezium.context.taskId", "0"});
    record.headers.push_back({"__debezium.context.connectorName", "postgresql"});
    record.headers.push_back({kHeaderOrigin, origin_});
    record.headers.push_back({kHeaderPosition, position_});
    if (!absent.empty()) {
        record.headers.push_back({kHeaderAbsent, absent});
    }
}

void EventEncoder::key_change(const EventContext& context, const TableEncoder& table, const Change& change, std::int64_t now_ns)
{
    const Tuple& before = *change.before;
    const std::size_t old_key = add_key(table, before);
    const std::size_t new_key = add_key(table, *change.after);
    add_value(context, table, 'd', &before, change.old_is_key, nullptr, nullptr, now_ns);
    add_record('d', old_key, 0, absent_[0], {"__debezium.newkey", keys_[new_key]});
    if (options_.tombstones) {
        add_record(0, old_key, std::nullopt, {}, {"__debezium.newkey", keys_[new_key]});
    }
    add_value(context, table, 'c', nullptr, false, &*change.after, change.old_is_key ? nullptr : &before, now_ns);
    add_record('c', new_key, 1, absent_[1], {"__debezium.oldkey", keys_[old_key]});
}

std::span<const EncodedRecord> EventEncoder::encode(const EventContext& context, const TableEncoder& table, const Change& change, std::int64_t now_ns)
{
    records_.clear();
    key_count_ = 0;
    value_count_ = 0;
    position_ = context.position.to_string();
    origin_ = context.origin.to_string();
    const Tuple* before = change.before ? &*change.before : nullptr;
    const Tuple* after = change.after ? &*change.after : nullptr;
    const auto key_of = [&](const Tuple& row) { return table.has_key() ? std::optional(add_key(table, row)) : std::nullopt; };
    switch (change.kind) {
    case ChangeKind::insert: {
        const char op = context.snapshot == "false" ? 'c' : 'r';
        add_value(context, table, op, nullptr, false, after, nullptr, now_ns);
        add_record(op, key_of(*after), 0, absent_[0]);
        break;
    }
    case ChangeKind::update: {
        if (before != nullptr && table.has_key() && !table.same_key(*before, *after)) {
            key_change(context, table, change, now_ns);
            break;
        }
        add_value(context, table, 'u', before, change.old_is_key, after, change.old_is_key ? nullptr : before, now_ns);
        add_record('u', key_of(*after), 0, absent_[0]);
        break;
    }
    case ChangeKind::remove: {
        const auto key = key_of(*before);
        add_value(context, table, 'd', before, change.old_is_key, nullptr, nullptr, now_ns);
        add_record('d', key, 0, absent_[0]);
        if (options_.tombstones && key) {
            add_record(0, key, std::nullopt, {});
        }
        break;
    }
    case ChangeKind::truncate:
        if (options_.truncate) {
            add_value(context, table, 't', nullptr, false, nullptr, nullptr, now_ns);
            add_record('t', std::nullopt, 0, {});
        }
        break;
    }
    return records_;
}

} // namespace keyshift::cdc
