#pragma once
/// Every type that capture knows, and some that it does not.

#include "core/schema.hpp"
#include "tests/cdc/publish/schemas.hpp"
#include "tests/fuzz/input.hpp"

#include <array>

namespace keyshift::fuzz {

inline constexpr std::array kTypeNames{
    "bool",  "int2",    "int4",     "int8",    "oid",       "float4",      "float8",   "numeric",   "money",
    "text",  "varchar", "bpchar",   "char",    "name",      "citext",      "uuid",     "json",      "jsonb",
    "xml",   "inet",    "cidr",     "macaddr", "macaddr8",  "bytea",       "bit",      "varbit",    "hstore",
    "point", "date",    "time",     "timetz",  "timestamp", "timestamptz", "interval", "int4range", "tstzrange",
    "ltree", "isbn",    "tsvector", "box",     "pg_lsn"};

/// A type with a modifier, as an element of an array, under a domain or as an enum.
inline TypeSchema any_type(Input& input)
{
    TypeSchema type = test::type(kTypeNames.at(input.below(kTypeNames.size())));
    const std::uint8_t shape = input.byte();
    constexpr std::array kModifiers{-1, 0, 1, 3, 5, 6};
    type.modifier = kModifiers.at(shape % kModifiers.size());
    if (type.name == "numeric" && type.modifier >= 0) {
        const std::size_t scale = input.below(64);
        type.modifier = test::numeric_modifier(38, static_cast<int>(scale) - 20);
    }
    if ((shape & 0x80U) != 0) {
        type = test::array_of(type);
    } else if ((shape & 0x40U) != 0) {
        type = test::domain_over(type);
    } else if ((shape & 0x30U) == 0x30U) {
        type.kind = 'e';
        type.enum_labels = {"sad", "so \"so\""};
    }
    return type;
}

} // namespace keyshift::fuzz
