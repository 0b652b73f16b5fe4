#include "projections/value_codec.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>

namespace keyshift::projections {

namespace {

using Text = std::optional<std::string>;
using Decoded = std::optional<Text>;
namespace dom = simdjson::dom;

const std::set<std::string> kStrings{"text",     "varchar",  "bpchar",    "char",     "name",      "citext",
                                     "uuid",     "json",     "jsonb",     "xml",      "inet",      "cidr",
                                     "macaddr",  "macaddr8", "ltree",     "enum",     "int4range", "int8range",
                                     "numrange", "tsrange",  "tstzrange", "daterange"};
const std::set<std::string> kOthers{"bool",    "int2",  "int4", "int8", "oid",       "float4",     "float8",
                                    "numeric", "bytea", "date", "time", "timestamp", "timestamptz"};

constexpr std::int64_t kDay = 86'400'000'000;
// Debezium's sentinels (measured on 3.2).
constexpr std::int64_t kDateInfinity = -2147472692;
constexpr std::int64_t kDateMinusInfinity = -2147472691;
constexpr std::int64_t kTimestampInfinity = 9223372036825200000;
constexpr std::int64_t kTimestampMinusInfinity = -9223372036832400000;
// What PostgreSQL can hold: 4714-11-24 BC to 5874897-12-31 as days and, the end of 64 bits being earlier, microseconds.
constexpr std::int64_t kFirstDay = -2'440'588;
constexpr std::int64_t kLastDay = 2'145'042'905;
constexpr std::int64_t kMostMilliseconds = std::numeric_limits<std::int64_t>::max() / 1000;
// A numeric has at most 131,072 digits before and 16,383 after the point.
constexpr std::int64_t kMostScale = 16'383;
constexpr std::size_t kMostNumericBytes = 64U << 10U;

std::optional<std::string> base64_bytes(std::string_view text)
{
    static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    std::uint32_t held = 0;
    int bits = 0;
    for (const char letter : text) {
        if (letter == '=') {
            break;
        }
        const std::size_t value = kLetters.find(letter);
        if (value == std::string_view::npos) {
            return std::nullopt;
        }
        held = (held << 6U | static_cast<std::uint32_t>(value)) & 0xFFFFFFU;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes += static_cast<char>(held >> bits & 0xFFU);
        }
    }
    return bytes;
}

std::string hexadecimal(const std::string& bytes)
{
    std::string out = "\\x";
    for (const char byte : bytes) {
        out += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return out;
}

/// Big-endian two's complement as decimal digits with sign.
std::string decimal_of(std::string bytes)
{
    const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0;
    if (negative) {
        unsigned carry = 1;
        for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
            const unsigned sum = (static_cast<unsigned>(~*byte) & 0xFFU) + carry;
            *byte = static_cast<char>(sum & 0xFFU);
            carry = sum >> 8U;
        }
    }
    std::string digits = "0"; // least significant first
    for (const char byte : bytes) {
        unsigned carry = static_cast<unsigned char>(byte);
        for (char& digit : digits) {
            carry += static_cast<unsigned>(digit - '0') * 256;
            digit = static_cast<char>('0' + carry % 10);
            carry /= 10;
        }
        for (; carry > 0; carry /= 10) {
            digits += static_cast<char>('0' + carry % 10);
        }
    }
    std::reverse(digits.begin(), digits.end());
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
    if (negative) {
        digits.insert(0, 1, '-');
    }
    return digits;
}

std::string with_scale(std::string digits, int scale)
{
    const bool negative = digits.starts_with('-');
    digits.erase(0, negative ? 1 : 0);
    if (scale > 0) {
        if (digits.size() <= static_cast<std::size_t>(scale)) {
            digits.insert(0, static_cast<std::size_t>(scale) + 1 - digits.size(), '0');
        }
        digits.insert(digits.size() - static_cast<std::size_t>(scale), ".");
    } else if (scale < 0 && digits != "0") {
        digits.append(static_cast<std::size_t>(-scale), '0');
    }
    if (negative) {
        digits.insert(0, 1, '-');
    }
    return digits;
}

Decoded numeric(const BaseColumn& column, dom::element json)
{
    std::string_view text;
    std::int64_t scale = 0;
    if (column.form == "string") {
        if (json.get(text) != simdjson::SUCCESS) {
            return std::nullopt;
        }
        return Text(text == "NAN"                 ? "NaN"
                    : text == "POSITIVE_INFINITY" ? "Infinity"
                    : text == "NEGATIVE_INFINITY" ? "-Infinity"
                                                  : std::string(text));
    }
    if (json.is_object()) {
        if (json["scale"].get(scale) != simdjson::SUCCESS || json["value"].get(text) != simdjson::SUCCESS) {
            return std::nullopt;
        }
    } else if (column.modifier < 0 || json.get(text) != simdjson::SUCCESS) {
        return std::nullopt;
    } else {
        scale = ((column.modifier - 4) & 0x7FF) ^ 0x400;
        scale -= 0x400;
    }
    if (scale < -kMostScale || scale > kMostScale || text.size() > kMostNumericBytes) {
        return std::nullopt;
    }
    const auto bytes = base64_bytes(text);
    return bytes ? Decoded(Text(with_scale(decimal_of(*bytes), static_cast<int>(scale)))) : std::nullopt;
}

std::string clock_text(std::int64_t micros)
{
    return fmt::format("{:02}:{:02}:{:02}.{:06}", micros / 3'600'000'000, micros / 60'000'000 % 60,
                       micros / 1'000'000 % 60, micros % 1'000'000);
}

/// Days since 1970-01-01 as a date PostgreSQL reads.
std::string date_text(std::int64_t days)
{
    days += 719468;
    const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const std::int64_t of_era = days - era * 146097;
    const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const std::int64_t day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const std::int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    return year > 0 ? fmt::format("{:04}-{:02}-{:02}", year, month, day)
                    : fmt::format("{:04}-{:02}-{:02} BC", 1 - year, month, day);
}

std::string timestamp_text(std::int64_t micros)
{
    const std::int64_t days = micros / kDay - (micros % kDay < 0 ? 1 : 0);
    std::string date = date_text(days);
    const std::string clock = clock_text(micros - days * kDay);
    const bool before_christ = date.ends_with(" BC");
    return before_christ ? date.substr(0, date.size() - 3) + " " + clock + " BC" : date + " " + clock;
}

/// "-0043-03-15T..Z", "0000-12-31T..Z" (1 BC) and "+21016-11-04T..Z" as PostgreSQL writes years before Christ and beyond
/// 9999.
Decoded zoned(std::string_view text)
{
    if (text.starts_with('+')) {
        return Text(std::string(text.substr(1)));
    }
    if (text.starts_with("0000-")) {
        return Text(fmt::format("0001{} BC", text.substr(4)));
    }
    if (!text.starts_with('-') || text == "-infinity") {
        return Text(std::string(text));
    }
    int year = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, failure] = std::from_chars(text.data() + 1, end, year);
    if (failure != std::errc() || rest == end || *rest != '-' || year < 0) {
        return std::nullopt;
    }
    return Text(fmt::format("{:04}{} BC", year + 1, std::string_view(rest, static_cast<std::size_t>(end - rest))));
}

/// cdc.time = "isostring": PostgreSQL reads such texts but for the years and the infinities.
Decoded iso(const BaseColumn& column, std::string_view text)
{
    if (text == "-5877611-06-21Z" || text == "+294247-01-10T04:00:25.2Z") {
        return Text("infinity");
    }
    if (text == "-5877611-06-22Z" || text == "-290308-12-21T19:59:27.6Z") {
        return Text("-infinity");
    }
    if (!text.ends_with('Z')) {
        return std::nullopt;
    }
    text.remove_suffix(1);
    return column.type_name == "time" ? Text(std::string(text)) : zoned(text);
}

Decoded temporal(const BaseColumn& column, dom::element json)
{
    std::string_view text;
    if (json.get(text) == simdjson::SUCCESS) {
        return column.form == "isostring" ? iso(column, text) : std::nullopt;
    }
    std::int64_t value = 0;
    if (json.get(value) != simdjson::SUCCESS) {
        return std::nullopt;
    }
    if (column.type_name == "date") {
        if (value == kDateInfinity || value == kDateMinusInfinity) {
            return Text(value == kDateInfinity ? "infinity" : "-infinity");
        }
        return value >= kFirstDay && value <= kLastDay ? Decoded(Text(date_text(value))) : std::nullopt;
    }
    const bool short_fraction = column.modifier >= 0 && column.modifier <= 3;
    const bool milliseconds = column.form == "connect" || (column.form != "microseconds" && short_fraction);
    if (column.type_name == "timestamp" && (value == kTimestampInfinity || value == kTimestampInfinity / 1000)) {
        return Text("infinity");
    }
    if (column.type_name == "timestamp" &&
        (value == kTimestampMinusInfinity || value == kTimestampMinusInfinity / 1000)) {
        return Text("-infinity");
    }
    if (milliseconds && (value > kMostMilliseconds || value < -kMostMilliseconds)) {
        return std::nullopt;
    }
    const std::int64_t micros = milliseconds ? value * 1000 : value;
    if (column.type_name == "time") {
        return micros >= 0 && micros <= kDay ? Decoded(Text(clock_text(micros))) : std::nullopt;
    }
    // The last number of all stands for every later second (and, with a fraction, one far before the first day).
    const bool held = micros >= kFirstDay * kDay && micros < std::numeric_limits<std::int64_t>::max();
    return held ? Decoded(Text(timestamp_text(micros))) : std::nullopt;
}

Decoded real(dom::element json)
{
    std::string_view text;
    if (json.get(text) == simdjson::SUCCESS) {
        const bool special = text == "NaN" || text == "Infinity" || text == "-Infinity";
        return special ? Decoded(Text(std::string(text))) : std::nullopt;
    }
    double value = 0;
    return json.get(value) == simdjson::SUCCESS ? Decoded(Text(fmt::format("{}", value))) : std::nullopt;
}

Decoded scalar(const BaseColumn& column, dom::element json)
{
    if (json.is_null()) {
        return Text();
    }
    const std::string& type = column.type_name;
    std::string_view text;
    if (kStrings.contains(type)) {
        // A zero byte is no text of PostgreSQL's.
        return json.get(text) == simdjson::SUCCESS && text.find('\0') == std::string_view::npos
                   ? Decoded(Text(std::string(text)))
                   : std::nullopt;
    }
    if (type == "timestamptz") {
        return json.get(text) == simdjson::SUCCESS ? zoned(text) : std::nullopt;
    }
    if (type == "bool") {
        bool value = false;
        return json.get(value) == simdjson::SUCCESS ? Decoded(Text(value ? "t" : "f")) : std::nullopt;
    }
    if (type == "float4" || type == "float8") {
        return real(json);
    }
    if (type == "numeric") {
        return numeric(column, json);
    }
    if (type == "bytea") {
        if (column.form == "hex") {
            return json.get(text) == simdjson::SUCCESS ? Decoded(Text("\\x" + std::string(text))) : std::nullopt;
        }
        const auto bytes = json.get(text) == simdjson::SUCCESS ? base64_bytes(text) : std::nullopt;
        return bytes ? Decoded(Text(hexadecimal(*bytes))) : std::nullopt;
    }
    if (type == "date" || type == "time" || type == "timestamp") {
        return temporal(column, json);
    }
    std::int64_t integer = 0;
    return json.get(integer) == simdjson::SUCCESS ? Decoded(Text(std::to_string(integer))) : std::nullopt;
}

std::string array_element(const Text& element)
{
    if (!element) {
        return "NULL";
    }
    std::string out = "\"";
    for (const char letter : *element) {
        if (letter == '"' || letter == '\\') {
            out += '\\';
        }
        out += letter;
    }
    return out + '"';
}

Decoded array(const BaseColumn& column, dom::element json)
{
    dom::array elements;
    if (json.get(elements) != simdjson::SUCCESS) {
        return std::nullopt;
    }
    std::string out = "{";
    for (const dom::element element : elements) {
        const Decoded decoded = element.is_array() ? array(column, element) : scalar(column, element);
        if (!decoded) {
            return std::nullopt;
        }
        out += (out.size() > 1 ? "," : "") + (element.is_array() ? **decoded : array_element(*decoded));
    }
    return Text(out + "}");
}

} // namespace

std::optional<Loss> lost_in_events(const BaseColumn& column)
{
    const std::string& type = column.type_name;
    if (!kStrings.contains(type) && !kOthers.contains(type)) {
        return Loss{"cannot be read back from its event", "Leave it out of the projection."};
    }
    if (type == "numeric" && column.form == "double") {
        return Loss{"is rounded in its events (cdc.decimal = \"double\")",
                    "Set cdc.decimal to precise or string, or leave the column out."};
    }
    if (type == "time" && column.form == "isostring") {
        return Loss{"has 24:00 as 00:00 in its events (cdc.time = \"isostring\")",
                    "Set cdc.time to adaptive or microseconds, or leave the column out."};
    }
    const bool short_fraction = column.modifier >= 0 && column.modifier <= 3;
    if ((type == "time" || type == "timestamp") && column.form == "connect" && !short_fraction) {
        return Loss{
            "is cut to milliseconds in its events (cdc.time = \"connect\")",
            "Set cdc.time to adaptive, microseconds or isostring, give the column a precision of at most 3, or leave "
            "it out."};
    }
    return std::nullopt;
}

std::optional<std::optional<std::string>> decode_value(const BaseColumn& column, dom::element json)
{
    if (column.array && !json.is_null()) {
        return array(column, json);
    }
    return scalar(column, json);
}

} // namespace keyshift::projections
