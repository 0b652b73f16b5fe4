#include "core/bucket_map.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>

namespace keyshift {

namespace {

// PostgreSQL: HASH_PARTITION_SEED (catalog/partition.h).
constexpr std::uint64_t kSeed = 0x7A5B22367996DCFD;

/// Bob Jenkins' lookup3 as PostgreSQL's common/hashfn.c uses it, for little-endian machines.
struct Lookup3 {
    std::uint32_t a, b, c;

    void mix()
    {
        a -= c;
        a ^= std::rotl(c, 4);
        c += b;
        b -= a;
        b ^= std::rotl(a, 6);
        a += c;
        c -= b;
        c ^= std::rotl(b, 8);
        b += a;
        a -= c;
        a ^= std::rotl(c, 16);
        c += b;
        b -= a;
        b ^= std::rotl(a, 19);
        a += c;
        c -= b;
        c ^= std::rotl(b, 4);
        b += a;
    }
    void finish()
    {
        c ^= b;
        c -= std::rotl(b, 14);
        a ^= c;
        a -= std::rotl(c, 11);
        b ^= a;
        b -= std::rotl(a, 25);
        c ^= b;
        c -= std::rotl(b, 16);
        a ^= c;
        a -= std::rotl(c, 4);
        b ^= a;
        b -= std::rotl(a, 14);
        c ^= b;
        c -= std::rotl(b, 24);
    }
    std::uint64_t result() const { return (std::uint64_t{b} << 32U) | c; }
};

Lookup3 start(std::uint32_t length)
{
    const std::uint32_t initial = 0x9e3779b9U + length + 3923095U;
    Lookup3 state{initial, initial, initial};
    state.a += static_cast<std::uint32_t>(kSeed >> 32U);
    state.b += static_cast<std::uint32_t>(kSeed);
    state.mix();
    return state;
}

std::uint64_t hash_bytes(std::string_view bytes)
{
    Lookup3 state = start(static_cast<std::uint32_t>(bytes.size()));
    while (bytes.size() >= 12) {
        std::array<std::uint32_t, 3> words{};
        std::memcpy(words.data(), bytes.data(), 12);
        state.a += words[0];
        state.b += words[1];
        state.c += words[2];
        state.mix();
        bytes.remove_prefix(12);
    }
    // The last up to 11 bytes; the lowest byte of c is left for the length.
    std::array<std::uint8_t, 12> tail{};
    std::memcpy(tail.data(), bytes.data(), std::min<std::size_t>(bytes.size(), 8));
    if (bytes.size() > 8) {
        std::memcpy(tail.data() + 9, bytes.data() + 8, bytes.size() - 8);
    }
    std::array<std::uint32_t, 3> words{};
    std::memcpy(words.data(), tail.data(), 12);
    state.a += words[0];
    state.b += words[1];
    state.c += words[2];
    state.finish();
    return state.result();
}

std::uint64_t hash_uint32(std::uint32_t value)
{
    Lookup3 state = start(sizeof value);
    state.a += value;
    state.finish();
    return state.result();
}

/// As hashint8extended: equal values hash alike whatever the width of the integer.
std::uint64_t hash_int8(std::int64_t value)
{
    auto low = static_cast<std::uint32_t>(value);
    const auto high = static_cast<std::uint32_t>(static_cast<std::uint64_t>(value) >> 32U);
    low ^= value >= 0 ? high : ~high;
    return hash_uint32(low);
}

std::uint64_t combine(std::uint64_t a, std::uint64_t b)
{
    return a ^ (b + 0x49a0f4dd15e5a8e3ULL + (a << 54U) + (a >> 7U));
}

template <typename Number>
std::optional<Number> read_number(std::string_view text)
{
    Number value{};
    if (text.starts_with('+') && !text.starts_with("+-")) {
        text.remove_prefix(1);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                     : std::nullopt;
}

std::optional<std::uint64_t> hash_uuid(std::string_view text)
{
    std::string digits;
    for (const char next : text) {
        if (next != '-' && next != '{' && next != '}') {
            digits += next;
        }
    }
    if (digits.size() != 32) {
        return std::nullopt;
    }
    std::string bytes;
    for (std::size_t at = 0; at < 32; at += 2) {
        std::uint8_t byte = 0;
        const auto [end, error] = std::from_chars(digits.data() + at, digits.data() + at + 2, byte, 16);
        if (error != std::errc{} || end != digits.data() + at + 2) {
            return std::nullopt;
        }
        bytes += static_cast<char>(byte);
    }
    return hash_bytes(bytes);
}

/// Days from 2000-01-01 in the proleptic Gregorian calendar.
std::int64_t days_from_2000(std::int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 730425;
}

/// Cuts "YYYY-MM-DD" off the front.
std::optional<std::int64_t> take_date(std::string_view& text, bool before_christ)
{
    const std::size_t first = text.find('-');
    if (first == std::string_view::npos || text.size() < first + 6 || text[first + 3] != '-') {
        return std::nullopt;
    }
    const auto year = read_number<std::int64_t>(text.substr(0, first));
    const auto month = read_number<unsigned>(text.substr(first + 1, 2));
    const auto day = read_number<unsigned>(text.substr(first + 4, 2));
    text.remove_prefix(first + 6);
    if (!year || *year < 1 || !month || !day || *month < 1 || *month > 12 || *day < 1) {
        return std::nullopt;
    }
    const std::int64_t astronomical = before_christ ? 1 - *year : *year;
    const std::int64_t first_day = days_from_2000(astronomical, *month, 1);
    const std::int64_t next_month =
        *month == 12 ? days_from_2000(astronomical + 1, 1, 1) : days_from_2000(astronomical, *month + 1, 1);
    return first_day + *day <= next_month ? std::optional(first_day + *day - 1) : std::nullopt;
}

bool take_before_christ(std::string_view& text)
{
    if (!text.ends_with(" BC")) {
        return false;
    }
    text.remove_suffix(3);
    return true;
}

std::optional<std::uint64_t> hash_date(std::string_view text)
{
    if (text == "infinity" || text == "-infinity") {
        return hash_uint32(text == "infinity" ? 0x7FFFFFFFU : 0x80000000U);
    }
    const bool before_christ = take_before_christ(text);
    const auto days = take_date(text, before_christ);
    if (!days || !text.empty()) {
        return std::nullopt;
    }
    return hash_uint32(static_cast<std::uint32_t>(*days));
}

/// "hh", "hh:mm" or "hh:mm:ss[.ffffff]" in microseconds.
std::optional<std::int64_t> clock_microseconds(std::string_view text)
{
    constexpr std::array<std::int64_t, 3> kUnits{3'600'000'000, 60'000'000, 1'000'000};
    if (text.empty()) {
        return std::nullopt;
    }
    std::int64_t sum = 0;
    for (std::size_t part = 0; part < 3 && !text.empty(); ++part) {
        const auto value = read_number<std::int64_t>(text.substr(0, 2));
        if (text.size() < 2 || !value || *value < 0 || *value > (part == 0 ? 23 : 59)) {
            return std::nullopt;
        }
        sum += *value * kUnits.at(part);
        text.remove_prefix(2);
        if (text.starts_with(':')) {
            text.remove_prefix(1);
        } else {
            break;
        }
    }
    if (text.starts_with('.')) {
        std::string digits(text.substr(1, 6));
        const auto value = read_number<std::int64_t>(digits + std::string(6 - digits.size(), '0'));
        if (!value || *value < 0 || text.size() > 7) {
            return std::nullopt;
        }
        sum += *value;
        text = {};
    }
    return text.empty() ? std::optional(sum) : std::nullopt;
}

std::optional<std::uint64_t> hash_timestamptz(std::string_view text)
{
    if (text == "infinity" || text == "-infinity") {
        return hash_int8(text == "infinity" ? INT64_MAX : INT64_MIN);
    }
    const bool before_christ = take_before_christ(text);
    const auto days = take_date(text, before_christ);
    if (!days || text.empty() || (text.front() != ' ' && text.front() != 'T')) {
        return std::nullopt;
    }
    text.remove_prefix(1);
    if (text.ends_with('Z')) {
        text.remove_suffix(1);
    }
    const std::size_t zone = text.find_first_of("+-");
    const auto time = clock_microseconds(text.substr(0, zone));
    std::int64_t offset = 0;
    if (zone != std::string_view::npos) {
        const auto magnitude = clock_microseconds(text.substr(zone + 1));
        if (!magnitude) {
            return std::nullopt;
        }
        offset = text[zone] == '-' ? -*magnitude : *magnitude;
    }
    if (!time) {
        return std::nullopt;
    }
    return hash_int8(*days * 86'400'000'000 + *time - offset);
}

std::optional<std::uint64_t> hash_value(KeyType type, std::string_view text)
{
    switch (type) {
    case KeyType::int2: {
        const auto value = read_number<std::int16_t>(text);
        return value ? std::optional(hash_uint32(static_cast<std::uint32_t>(std::int32_t{*value}))) : std::nullopt;
    }
    case KeyType::int4: {
        const auto value = read_number<std::int32_t>(text);
        return value ? std::optional(hash_uint32(static_cast<std::uint32_t>(*value))) : std::nullopt;
    }
    case KeyType::int8: {
        const auto value = read_number<std::int64_t>(text);
        return value ? std::optional(hash_int8(*value)) : std::nullopt;
    }
    case KeyType::uuid:
        return hash_uuid(text);
    case KeyType::text:
        return hash_bytes(text);
    case KeyType::date:
        return hash_date(text);
    case KeyType::timestamptz:
        return hash_timestamptz(text);
    }
    return std::nullopt;
}

} // namespace

std::optional<KeyType> key_type(std::string_view formatted_type)
{
    static constexpr std::array<std::pair<std::string_view, KeyType>, 8> kTypes{
        {{"smallint", KeyType::int2},
         {"integer", KeyType::int4},
         {"bigint", KeyType::int8},
         {"uuid", KeyType::uuid},
         {"text", KeyType::text},
         {"character varying", KeyType::text},
         {"date", KeyType::date},
         {"timestamp with time zone", KeyType::timestamptz}}};
    // "character varying(40)" hashes as the rest; a timestamptz(3) is rounded first, which only the server does.
    const bool varying = formatted_type.starts_with("character varying(") && formatted_type.ends_with(')');
    const std::string_view name = varying ? "character varying" : formatted_type;
    for (const auto& [known, type] : kTypes) {
        if (name == known) {
            return type;
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> partition_hash(std::span<const KeyType> types, std::span<const KeyValue> values)
{
    if (types.size() != values.size()) {
        return std::nullopt;
    }
    std::uint64_t row = 0;
    for (std::size_t column = 0; column < types.size(); ++column) {
        if (!values[column]) {
            continue;
        }
        const auto hash = hash_value(types[column], *values[column]);
        if (!hash) {
            return std::nullopt;
        }
        row = combine(row, *hash);
    }
    return row;
}

} // namespace keyshift
