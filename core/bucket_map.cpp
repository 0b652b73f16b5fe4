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

template <typename Value, typename Hash>
std::optional<std::uint64_t> hashed(const std::optional<Value>& value, Hash hash)
{
    return value ? std::optional<std::uint64_t>(hash(*value)) : std::nullopt;
}

std::uint64_t hash_int4(std::int32_t value)
{
    return hash_uint32(static_cast<std::uint32_t>(value));
}

std::optional<std::uint64_t> hash_value(KeyType type, std::string_view text)
{
    switch (type) {
    case KeyType::int2:
        return hashed(read_number<std::int16_t>(text), hash_int4);
    case KeyType::int4:
        return hashed(read_number<std::int32_t>(text), hash_int4);
    case KeyType::int8:
        return hashed(read_number<std::int64_t>(text), hash_int8);
    case KeyType::boolean:
        return hashed(read_boolean(text), hash_int4);
    case KeyType::numeric:
        return hashed(read_numeric(text), hash_numeric);
    case KeyType::uuid:
        return hashed(read_uuid(text), hash_bytes);
    case KeyType::text:
        return hash_bytes(text);
    case KeyType::character:
        return hash_bytes(without_blanks(text));
    case KeyType::bytes:
        return hashed(read_bytes(text), hash_bytes);
    case KeyType::network:
        return hashed(read_network(text), hash_bytes);
    case KeyType::hardware_address:
        return hashed(read_hardware_address(text), hash_bytes);
    case KeyType::date:
        return hashed(read_date(text), hash_int4);
    case KeyType::time:
        return hashed(read_time(text), hash_int8);
    case KeyType::timestamp:
        return has_zone(text) ? std::nullopt : hashed(read_timestamp(text), hash_int8);
    case KeyType::timestamptz:
        return hashed(read_timestamp(text), hash_int8);
    }
    return std::nullopt;
}

/// "numeric(10,2)" as "numeric()", "time(3) without time zone" as without it.
std::string without_modifier(std::string_view formatted_type)
{
    std::string type(formatted_type);
    const std::size_t open = type.find('(');
    const std::size_t close = type.find(')', std::min(open, type.size()));
    if (close != std::string::npos) {
        const bool in_the_middle = close + 1 < type.size();
        type.erase(open + (in_the_middle ? 0 : 1), in_the_middle ? close - open + 1 : close - open - 1);
    }
    return type;
}

} // namespace

std::optional<KeyType> key_type(std::string_view formatted_type)
{
    // A number of any scale may be spelt in several ways, so numeric has a modifier always.
    static constexpr std::array<std::pair<std::string_view, KeyType>, 19> kTypes{
        {{"boolean", KeyType::boolean},
         {"smallint", KeyType::int2},
         {"integer", KeyType::int4},
         {"bigint", KeyType::int8},
         {"numeric()", KeyType::numeric},
         {"uuid", KeyType::uuid},
         {"text", KeyType::text},
         {"character varying", KeyType::text},
         {"character varying()", KeyType::text},
         {"character()", KeyType::character},
         {"bytea", KeyType::bytes},
         {"date", KeyType::date},
         {"time without time zone", KeyType::time},
         {"timestamp without time zone", KeyType::timestamp},
         {"timestamp with time zone", KeyType::timestamptz},
         {"inet", KeyType::network},
         {"cidr", KeyType::network},
         {"macaddr", KeyType::hardware_address},
         {"macaddr8", KeyType::hardware_address}}};
    const std::string type = without_modifier(formatted_type);
    const auto found = std::ranges::find(kTypes, type, [](const auto& known) { return known.first; });
    return found == kTypes.end() ? std::nullopt : std::optional(found->second);
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
