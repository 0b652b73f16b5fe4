#include "core/bucket_map.hpp"

#include "core/key_values.hpp"

#include <algorithm>
#include <array>
#include <bit>
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

/// As hash_numeric_extended: a number has one hash, with whatever zeros it is written.
std::uint64_t hash_numeric(const NumericDigits& number)
{
    if (number.special) {
        return kSeed;
    }
    if (number.digits.empty()) {
        return kSeed - 1;
    }
    const std::string_view bytes(reinterpret_cast<const char*>(number.digits.data()), // NOLINT(*-reinterpret-cast)
                                 number.digits.size() * sizeof(std::int16_t));
    return hash_bytes(bytes) ^ static_cast<std::uint64_t>(number.weight);
}

std::string_view without_blanks(std::string_view text)
{
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

bool has_zone(std::string_view text)
{
    constexpr std::size_t kDate = 10;
    return text.ends_with('Z') || text.substr(std::min(kDate, text.size())).find_first_of("+-") != text.npos;
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
    case KeyType::boolean: {
        const auto value = read_boolean(text);
        return value ? std::optional(hash_uint32(*value ? 1 : 0)) : std::nullopt;
    }
    case KeyType::numeric: {
        const auto value = read_numeric(text);
        return value ? std::optional(hash_numeric(*value)) : std::nullopt;
    }
    case KeyType::uuid: {
        const auto bytes = read_uuid(text);
        return bytes ? std::optional(hash_bytes(*bytes)) : std::nullopt;
    }
    case KeyType::text:
        return hash_bytes(text);
    case KeyType::character:
        return hash_bytes(without_blanks(text));
    case KeyType::date: {
        const auto days = read_date(text);
        return days ? std::optional(hash_uint32(static_cast<std::uint32_t>(*days))) : std::nullopt;
    }
    case KeyType::timestamp: {
        const auto value = has_zone(text) ? std::nullopt : read_timestamp(text);
        return value ? std::optional(hash_int8(*value)) : std::nullopt;
    }
    case KeyType::timestamptz: {
        const auto value = read_timestamp(text);
        return value ? std::optional(hash_int8(*value)) : std::nullopt;
    }
    }
    return std::nullopt;
}

} // namespace

std::optional<KeyType> key_type(std::string_view formatted_type)
{
    static constexpr std::array<std::pair<std::string_view, KeyType>, 10> kTypes{
        {{"boolean", KeyType::boolean},
         {"smallint", KeyType::int2},
         {"integer", KeyType::int4},
         {"bigint", KeyType::int8},
         {"uuid", KeyType::uuid},
         {"text", KeyType::text},
         {"character varying", KeyType::text},
         {"date", KeyType::date},
         {"timestamp without time zone", KeyType::timestamp},
         {"timestamp with time zone", KeyType::timestamptz}}};
    // A number of any scale may be spelt in several ways; a timestamptz(3) is rounded first, which only the server does.
    static constexpr std::array<std::pair<std::string_view, KeyType>, 3> kWithModifier{
        {{"character varying(", KeyType::text}, {"character(", KeyType::character}, {"numeric(", KeyType::numeric}}};
    for (const auto& [known, type] : kTypes) {
        if (formatted_type == known) {
            return type;
        }
    }
    for (const auto& [beginning, type] : kWithModifier) {
        if (formatted_type.starts_with(beginning) && formatted_type.ends_with(')')) {
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
