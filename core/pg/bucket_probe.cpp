#include "core/pg/bucket_probe.hpp"

#include <fmt/core.h>

#include <string>
#include <vector>

namespace keyshift::pg {

namespace {

constexpr std::uint32_t kBuckets = 4096; ///< the most a group may have: compares twelve bits of each hash

/// A key to try: its columns, and how the server makes values for it from i = 0..255, extremes and NULL among them.
struct Shape {
    std::vector<KeyType> types;
    std::string columns; ///< "k1 type, k2 type"
    std::string key;     ///< "k1, k2"
    std::string values;  ///< select list
};

std::vector<Shape> shapes()
{
    using enum KeyType;
    return {
        {{int2}, "k1 smallint", "k1", "(i * 257 - 32768)::smallint"},
        {{int4}, "k1 integer", "k1", "(i::bigint * 16777259 - 2147483648)::integer"},
        {{int8},
         "k1 bigint",
         "k1",
         "CASE i WHEN 0 THEN '-9223372036854775808' ELSE (i - 100)::bigint * (i - 90) * 1000000007 * i END"},
        {{uuid}, "k1 uuid", "k1", "md5(i::text)::uuid"},
        {{text}, "k1 text", "k1", "left(repeat('k\u00e9y ' || i, 9), i % 40)"},
        {{date},
         "k1 date",
         "k1",
         "CASE i WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN '0044-03-15 BC' ELSE date '0001-01-01' + i * 3653 END"},
        {{timestamptz},
         "k1 timestamptz",
         "k1",
         "CASE i WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN '0044-03-15 12:00:00.000001+00 BC' "
         "ELSE timestamptz '1001-01-01 00:00:00+00' + i * interval '2411 days 3 hours 1.000007 seconds' END"},
        {{boolean}, "k1 boolean", "k1", "i % 2 = 0"},
        {{numeric},
         "k1 numeric(40,6)",
         "k1",
         "CASE i WHEN 0 THEN 'NaN' WHEN 1 THEN 0 ELSE ((i - 128) * 10::numeric ^ (i % 37 - 6))::numeric(40,6) END"},
        {{character}, "k1 character(9)", "k1", "left(repeat('k\u00e9 y' || i, 9), i % 9)"},
        {{timestamp},
         "k1 timestamp",
         "k1",
         "CASE i WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN '0044-03-15 12:00:00.000001 BC' "
         "ELSE timestamp '1001-01-01 00:00:00' + i * interval '2411 days 3 hours 1.000007 seconds' END"},
        {{bytes}, "k1 bytea", "k1", "substr(decode(md5(i::text), 'hex'), 1, i % 17)"},
        {{time},
         "k1 time",
         "k1",
         "CASE i WHEN 0 THEN time '24:00' ELSE time '00:00' + i * interval '337.000123 seconds' END"},
        {{network},
         "k1 inet",
         "k1",
         "set_masklen(CASE WHEN i % 2 = 0 THEN inet '10.9.8.0' ELSE inet '2001:db8::7' END + i, i % 33)"},
        {{hardware_address}, "k1 macaddr", "k1", "left(md5(i::text), 12)::macaddr"},
        {{text, int8, uuid},
         "k1 text, k2 bigint, k3 uuid",
         "k1, k2, k3",
         "CASE WHEN i % 3 = 0 THEN NULL ELSE 'a' || i END, CASE WHEN i % 5 = 0 THEN NULL ELSE i * 37::bigint END, md5(i::text)::uuid"},
    };
}

void compare(Connection& connection, const Shape& shape)
{
    const std::string keys =
        fmt::format("pg_catalog.generate_series(0, 255) i, LATERAL (SELECT {}) v({})", shape.values, shape.key);
    const Result rows = connection.query(fmt::format("SELECT {} FROM {} ORDER BY i", shape.key, keys));
    std::string computed = "{";
    for (int row = 0; row < rows.rows(); ++row) {
        std::vector<KeyValue> key;
        for (int column = 0; column < rows.columns(); ++column) {
            key.push_back(rows.optional_text(row, column));
        }
        const auto hash = partition_hash(shape.types, key);
        // No bucket satisfies NULL: a value that does not read as its type is a difference too.
        computed += (row == 0 ? "" : ",") +
                    (hash ? std::to_string(number(bucket_of_hash(*hash, kBuckets))) : std::string("NULL"));
    }
    computed += "}";
    connection.script(
        fmt::format("CREATE TEMPORARY TABLE keyshift_probe ({}) PARTITION BY HASH ({})", shape.columns, shape.key));
    const Result differing = connection.query(
        fmt::format(
            "SELECT pg_catalog.count(*) FROM {} WHERE ($1::int[])[i + 1] IS NULL OR NOT pg_catalog.satisfies_hash_partition("
            "'pg_temp.keyshift_probe'::regclass, {}, ($1::int[])[i + 1], {})",
            keys, kBuckets, shape.key),
        {computed});
    connection.script("DROP TABLE pg_temp.keyshift_probe");
    if (differing.integer(0, 0) != 0) {
        throw FatalError(
            {fmt::format("comparing buckets of keys ({}) with {}", shape.columns, connection.name()),
             fmt::format("{} of {} keys fall into another bucket there", differing.integer(0, 0), rows.rows()),
             "Do not use this server as a node: its hash partitioning or its encoding (UTF8 is needed) differs."});
    }
}

} // namespace

void probe_buckets(Connection& connection)
{
    const Transaction rolled_back(connection);
    for (const Shape& shape : shapes()) {
        compare(connection, shape);
    }
}

} // namespace keyshift::pg
