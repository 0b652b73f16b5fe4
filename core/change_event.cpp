#include "core/change_event.hpp"

#include "core/json.hpp"
#include "core/json_number.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>

namespace keyshift {

namespace {

template <typename Number>
std::optional<Number> decimal(std::string_view text)
{
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                     : std::nullopt;
}

bool plain_in_topic(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '.' || letter == '_' || letter == '-';
}

std::string percent_encoded(std::string_view name)
{
    std::string out;
    for (const char letter : name) {
        const bool plain = static_cast<unsigned char>(letter) > 0x20 && static_cast<unsigned char>(letter) < 0x7F &&
                           std::string_view("%,;=").find(letter) == std::string_view::npos;
        out += plain ? std::string(1, letter) : fmt::format("%{:02X}", static_cast<unsigned char>(letter));
    }
    return out;
}

std::optional<std::string> percent_decoded(std::string_view text)
{
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out += text[at];
            continue;
        }
        unsigned byte = 0;
        if (at + 2 >= text.size()) {
            return std::nullopt;
        }
        const auto [end, error] = std::from_chars(text.data() + at + 1, text.data() + at + 3, byte, 16);
        if (error != std::errc{} || end != text.data() + at + 3) {
            return std::nullopt;
        }
        out += static_cast<char>(byte);
        at += 2;
    }
    return out;
}

std::optional<std::vector<std::string>> decoded_list(std::string_view text)
{
    std::vector<std::string> names;
    while (true) {
        const std::size_t comma = text.find(',');
        auto name = percent_decoded(text.substr(0, comma));
        if (!name || name->empty()) {
            return std::nullopt;
        }
        names.push_back(std::move(*name));
        if (comma == std::string_view::npos) {
            return names;
        }
        text.remove_prefix(comma + 1);
    }
}

std::string encoded_list(std::string_view what, const std::vector<std::string>& names)
{
    std::string out(what);
    char before = '=';
    for (const std::string& name : names) {
        out += before + percent_encoded(name);
        before = ',';
    }
    return out;
}

using Json = nlohmann::ordered_json;

Json json_of(const ProgressRecord& record)
{
    Json ends = Json::object();
    for (const auto& [topic, partitions] : record.end_offsets) {
        for (const auto& [partition, offset] : partitions) {
            ends[topic][std::to_string(partition)] = offset;
        }
    }
    return {{"type", "progress"},
            {"node", record.node},
            {"timeline", record.timeline},
            {"lsn", record.lsn.to_string()},
            {"end_offsets", ends}};
}

Json json_of(const SwitchRecord& record)
{
    return {{"type", "switch"},
            {"group", record.group},
            {"bucket", number(record.bucket)},
            {"epoch", number(record.epoch)},
            {"from", record.from},
            {"to", record.to}};
}

Json json_of(const TruncateRecord& record)
{
    return {{"type", "truncate"},
            {"node", record.node},
            {"table", record.table},
            {"bucket", number(record.bucket)},
            {"position", record.position.to_string()}};
}

Json json_of(const SnapshotRecord& record)
{
    return {{"type", "snapshot"},
            {"node", record.node},
            {"table", record.table},
            {"phase", record.phase},
            {"lsn", record.lsn.to_string()}};
}

Json json_of(const GapRecord& record)
{
    return {{"type", "gap"},
            {"node", record.node},
            {"timeline", record.timeline},
            {"from", record.from.to_string()},
            {"to", record.to.to_string()}};
}

Lsn lsn_of(const Json& json)
{
    return Lsn::parse(json.get<std::string>()).value();
}

/// value() throws on anything else.
template <typename Number>
Number whole(const Json& json)
{
    return whole_number<Number>(json).value();
}

/// nlohmann throws on a missing or wrong member; the caller turns that into nullopt.
ControlRecord record_of(const Json& json)
{
    const auto type = json.at("type").get<std::string>();
    if (type == "progress") {
        ProgressRecord record{json.at("node"), whole<std::uint32_t>(json.at("timeline")), lsn_of(json.at("lsn")), {}};
        for (const auto& [topic, partitions] : json.at("end_offsets").items()) {
            for (const auto& [partition, offset] : partitions.items()) {
                record.end_offsets[topic][decimal<std::int32_t>(partition).value()] = whole<std::int64_t>(offset);
            }
        }
        return record;
    }
    if (type == "switch") {
        return SwitchRecord{json.at("group"), BucketId{whole<std::uint32_t>(json.at("bucket"))},
                            Epoch{whole<std::uint64_t>(json.at("epoch"))}, json.at("from"), json.at("to")};
    }
    if (type == "truncate") {
        return TruncateRecord{json.at("node"), json.at("table"), BucketId{whole<std::uint32_t>(json.at("bucket"))},
                              SourcePosition::parse(json.at("position").get<std::string>()).value()};
    }
    if (type == "snapshot") {
        return SnapshotRecord{json.at("node"), json.at("table"), json.at("phase"), lsn_of(json.at("lsn"))};
    }
    if (type == "gap") {
        return GapRecord{json.at("node"), whole<std::uint32_t>(json.at("timeline")), lsn_of(json.at("from")),
                         lsn_of(json.at("to"))};
    }
    throw std::bad_optional_access();
}

} // namespace

std::string SourcePosition::to_string() const
{
    std::string out;
    append_to(out);
    return out;
}

void SourcePosition::append_to(std::string& out) const
{
    std::array<char, 24> buffer{};
    const auto append = [&](std::uint64_t value) {
        out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
    };
    append(number(epoch));
    out += '/';
    append(commit_lsn.value);
    out += '/';
    append(seq);
}

std::optional<SourcePosition> SourcePosition::parse(std::string_view text)
{
    const std::size_t first = text.find('/');
    const std::size_t second = text.find('/', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) {
        return std::nullopt;
    }
    const auto epoch = decimal<std::uint64_t>(text.substr(0, first));
    const auto lsn = decimal<std::uint64_t>(text.substr(first + 1, second - first - 1));
    const auto seq = decimal<std::uint64_t>(text.substr(second + 1));
    if (!epoch || !lsn || !seq) {
        return std::nullopt;
    }
    return SourcePosition{Epoch{*epoch}, Lsn{*lsn}, *seq};
}

std::string Origin::to_string() const
{
    return fmt::format("{}/{}", node, number(bucket));
}

std::optional<Origin> Origin::parse(std::string_view text)
{
    const std::size_t slash = text.rfind('/');
    if (slash == std::string_view::npos || slash == 0) {
        return std::nullopt;
    }
    const auto bucket = decimal<std::uint32_t>(text.substr(slash + 1));
    return bucket ? std::optional(Origin{std::string(text.substr(0, slash)), BucketId{*bucket}}) : std::nullopt;
}

std::string AbsentColumns::to_string() const
{
    std::string out = before.empty() ? "" : encoded_list("before", before);
    if (!after.empty()) {
        out += (out.empty() ? "" : ";") + encoded_list("after", after);
    }
    return out;
}

std::optional<AbsentColumns> AbsentColumns::parse(std::string_view text)
{
    AbsentColumns columns;
    while (!text.empty()) {
        const std::size_t end = text.find(';');
        const std::string_view part = text.substr(0, end);
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos) {
            return std::nullopt;
        }
        auto names = decoded_list(part.substr(equals + 1));
        const bool is_before = part.substr(0, equals) == "before";
        std::vector<std::string>& list = is_before ? columns.before : columns.after;
        if (!names || !list.empty() || (!is_before && part.substr(0, equals) != "after")) {
            return std::nullopt;
        }
        list = std::move(*names);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return columns;
}

std::string data_topic(std::string_view prefix, std::string_view schema, std::string_view table)
{
    std::string name;
    for (const char letter : fmt::format("{}.{}.{}", prefix, schema, table)) {
        // Debezium replaces UTF-16 units: one for a UTF-8 sequence of two or three bytes, two for one of four.
        const auto byte = static_cast<unsigned char>(letter);
        const bool continuation = (byte & 0xC0U) == 0x80U;
        if (plain_in_topic(letter)) {
            name += letter;
        } else if (!continuation) {
            name.append(byte >= 0xF0U ? 2 : 1, '_');
        }
    }
    return name;
}

std::string control_topic(std::string_view prefix)
{
    return fmt::format("{}.keyshift.control", prefix);
}

std::string dead_letter_topic(std::string_view prefix)
{
    return fmt::format("{}.keyshift.dead_letter", prefix);
}

std::string heartbeat_topic(std::string_view prefix)
{
    return fmt::format("__debezium-heartbeat.{}", prefix);
}

std::string message_topic(std::string_view prefix)
{
    return fmt::format("{}.message", prefix);
}

std::string transaction_topic(std::string_view prefix)
{
    return fmt::format("{}.transaction", prefix);
}

std::string to_json(const ControlRecord& record)
{
    return std::visit([](const auto& one) { return json_of(one).dump(); }, record);
}

std::optional<ControlRecord> parse_control_record(std::string_view json)
{
    try {
        return record_of(Json::parse(json));
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    } catch (const std::bad_optional_access&) {
        return std::nullopt;
    }
}

} // namespace keyshift
