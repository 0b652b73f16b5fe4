#include "cdc/publish/column_treatment.hpp"

#include "cdc/publish/json_text.hpp"
#include "core/change_event.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/secret_file.hpp"
#include "core/sha256.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace keyshift::cdc {

namespace {

// varchar(n) and bpchar(n): n is below the header's length in the modifier (PostgreSQL: anychar_typmodin).
constexpr std::int32_t kModifierOffset = 4;
constexpr std::size_t kHashDigits = 64;

bool is_text(const TypeSchema& type)
{
    static constexpr std::array kNames{"text", "varchar", "bpchar", "char", "name", "citext"};
    return type.kind == 'e' || std::ranges::find(kNames, type.name) != kNames.end();
}

/// Bytes of the UTF-8 sequence that begins with this byte.
std::size_t sequence_length(char first)
{
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0x80U ? 1U : byte < 0xE0U ? 2U : byte < 0xF0U ? 3U : 4U;
}

/// The longest beginning of at most `limit` UTF-16 units: what Java counts as characters.
std::string_view first_units(std::string_view text, std::size_t limit)
{
    std::size_t end = 0;
    for (std::size_t units = 0; end < text.size(); end += sequence_length(text[end])) {
        units += sequence_length(text[end]) == 4 ? 2U : 1U;
        if (units > limit) {
            break;
        }
    }
    return text.substr(0, end);
}

/// A string as Java serializes it (Java Object Serialization Specification, "Terminal Symbols"): what Debezium hashes.
std::string serialized(std::string_view text)
{
    constexpr std::size_t kShort = 0xFFFF;
    std::string encoded; // modified UTF-8: beyond U+FFFF two surrogates of three bytes each
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = sequence_length(text[at]);
        if (length < 4) {
            encoded += text.substr(at, length);
        } else {
            const auto bits = [&](std::size_t byte) {
                return static_cast<unsigned char>(text[at + byte]) & 0x3FU;
            };
            const std::uint32_t point =
                ((static_cast<unsigned char>(text[at]) & 0x07U) << 18U | bits(1) << 12U | bits(2) << 6U | bits(3)) -
                0x10000U;
            for (const std::uint32_t unit : {0xD800U + (point >> 10U), 0xDC00U + (point & 0x3FFU)}) {
                encoded += static_cast<char>(0xE0U | unit >> 12U);
                encoded += static_cast<char>(0x80U | (unit >> 6U & 0x3FU));
                encoded += static_cast<char>(0x80U | (unit & 0x3FU));
            }
        }
        at += length;
    }
    std::string out("\xAC\xED\x00\x05", 4);
    const bool is_short = encoded.size() <= kShort;
    out += is_short ? 't' : '|';
    for (int byte = is_short ? 1 : 7; byte >= 0; --byte) {
        out +=
            static_cast<char>(static_cast<std::uint64_t>(encoded.size()) >> (8U * static_cast<unsigned>(byte)) & 0xFFU);
    }
    return out + encoded;
}

FatalError impossible(const TableSchema& table, const ColumnSchema& column)
{
    return FatalError(
        {"capturing " + table.root.to_string(),
         fmt::format("column {} is to be masked, hashed or cut, and its type is now {}", column.name, column.type.name),
         fmt::format("keyshift table capture {} --exclude-columns {}, in place of the other option.",
                     table.root.to_string(), column.name)});
}

} // namespace

std::optional<ColumnTreatment> ColumnTreatment::of(const TableSchema& table, const ColumnSchema& column,
                                                   const std::string& salt_file)
{
    const CaptureOptions& options = table.capture;
    if (!options.alters(column.name)) {
        return std::nullopt;
    }
    const TypeSchema type = bottom_type(column.type);
    ColumnTreatment treatment;
    if (const auto mask = options.mask.find(column.name); mask != options.mask.end()) {
        append_string(treatment.constant_, mask->second);
    } else if (const auto length = options.truncate.find(column.name); length != options.truncate.end()) {
        treatment.kind_ = Kind::truncate;
        treatment.limit_ = static_cast<std::size_t>(length->second);
        treatment.bytes_ = type.name == "bytea";
    } else {
        treatment.kind_ = Kind::hash;
        treatment.salt_ = read_secret_file("the salt of hashed columns (cdc.hash_salt_file)", salt_file);
        const bool bounded = (type.name == "varchar" || type.name == "bpchar") && type.modifier > kModifierOffset;
        treatment.limit_ = bounded ? static_cast<std::size_t>(type.modifier - kModifierOffset) : kHashDigits;
    }
    if (!is_text(type) && !treatment.bytes_) {
        throw impossible(table, column);
    }
    return treatment;
}

std::string ColumnTreatment::hashed(std::string_view text) const
{
    return sha256_hex(salt_, serialized(text)).substr(0, limit_);
}

std::string_view ColumnTreatment::cut(std::string_view text) const
{
    return bytes_ ? text.substr(0, 2 + 2 * limit_) : first_units(text, limit_);
}

void ColumnTreatment::append(std::string& out, const ValueEncoder& encoder, std::optional<std::string_view> text) const
{
    if (kind_ == Kind::mask) {
        out += constant_;
    } else if (!text) {
        out += "null";
    } else if (kind_ == Kind::hash) {
        append_string(out, hashed(*text));
    } else {
        encoder.append(out, cut(*text));
    }
}

void ColumnTreatment::append_unavailable(std::string& out, const ValueEncoder& encoder) const
{
    if (bytes_) {
        encoder.append_unavailable(out);
    } else {
        append(out, encoder, kUnavailableValue);
    }
}

std::string ColumnTreatment::filler(const ValueEncoder& encoder, const std::string& filler) const
{
    const nlohmann::json value = nlohmann::json::parse(filler);
    std::string out;
    if (bytes_) {
        return filler;
    }
    append(out, encoder, value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt);
    return out;
}

std::string ColumnTreatment::schema_parameter() const
{
    return kind_ == Kind::truncate ? fmt::format(R"("truncateLength":"{}")", limit_) : R"("masked":"true")";
}

} // namespace keyshift::cdc
