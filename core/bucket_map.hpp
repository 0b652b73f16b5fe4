#pragma once
/// PostgreSQL's hash partitioning, bit for bit: key -> 64-bit row hash -> bucket (hash mod bucket count).
/// Covers boolean, int2, int4, int8, numeric(p, s), uuid, text, varchar, character(n), bytea, date, time, timestamp,
/// timestamptz, inet, cidr, macaddr, macaddr8 and keys of several such columns; anything else is asked of the server. Proven at
/// start against satisfies_hash_partition on every node (bucket_probe).
/// Pure; safe to call from any thread.

#include "core/ids.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift {

enum class KeyType {
    boolean,
    int2,
    int4,
    int8,
    numeric,
    uuid,
    text,
    character,
    bytes,
    date,
    time,
    timestamp,
    timestamptz,
    network,
    hardware_address
};

/// The KeyType of a type name as pg_catalog.format_type prints it ("bigint", "character varying(40)",
/// "timestamp(3) with time zone", ...); nullopt: not computed here. Values are expected as the type keeps them, cut and rounded.
std::optional<KeyType> key_type(std::string_view formatted_type);

/// One key value: as text in PostgreSQL's input format (ISO dates; a timestamptz with its zone offset), or NULL.
using KeyValue = std::optional<std::string>;

/// Row hash of a key of one or more columns; nullopt when a value does not read as its type.
std::optional<std::uint64_t> partition_hash(std::span<const KeyType> types, std::span<const KeyValue> values);

inline BucketId bucket_of_hash(std::uint64_t hash, std::uint32_t buckets)
{
    return static_cast<BucketId>(hash % buckets);
}

} // namespace keyshift
