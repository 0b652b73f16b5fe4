#include "core/bucket_map.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace keyshift {
namespace {

constexpr const char* kNull = nullptr;

/// The partition of 4096 that PostgreSQL 15.14 puts a key into (asked with satisfies_hash_partition).
struct Golden {
    KeyType type;
    const char* value;
    std::uint32_t bucket;
};
constexpr std::array kGolden{
    Golden{KeyType::int2, "0", 2480},
    Golden{KeyType::int2, "-1", 4005},
    Golden{KeyType::int2, "-32768", 1149},
    Golden{KeyType::int2, "32767", 3790},
    Golden{KeyType::int4, "0", 2480},
    Golden{KeyType::int4, "1", 4024},
    Golden{KeyType::int4, "-1", 4005},
    Golden{KeyType::int4, "42", 2658},
    Golden{KeyType::int4, "2147483647", 383},
    Golden{KeyType::int4, "-2147483648", 2678},
    Golden{KeyType::int8, "0", 2480},
    Golden{KeyType::int8, "1", 4024},
    Golden{KeyType::int8, "-1", 4005},
    Golden{KeyType::int8, "42", 2658},
    Golden{KeyType::int8, "9223372036854775807", 2678},
    Golden{KeyType::int8, "-9223372036854775808", 383},
    Golden{KeyType::uuid, "123e4567-e89b-12d3-a456-426614174000", 901},
    Golden{KeyType::uuid, "123E4567E89B12D3A456426614174000", 901},
    Golden{KeyType::uuid, "00000000-0000-0000-0000-000000000000", 2981},
    Golden{KeyType::text, "", 2214},
    Golden{KeyType::text, "a", 3934},
    Golden{KeyType::text, "eleven byte", 704},
    Golden{KeyType::text, "twelve bytes", 1302},
    Golden{KeyType::text, "thirteen byte", 3190},
    Golden{KeyType::text, "zo\u00eb", 3500},
    Golden{KeyType::text, "twenty-four bytes, twice", 2234},
    Golden{KeyType::date, "2000-01-01", 2480},
    Golden{KeyType::date, "1969-12-31", 1531},
    Golden{KeyType::date, "2024-02-29", 3303},
    Golden{KeyType::date, "infinity", 383},
    Golden{KeyType::date, "-infinity", 2678},
    Golden{KeyType::date, "0044-03-15 BC", 2940},
    Golden{KeyType::timestamptz, "2000-01-01 00:00:00+00", 2480},
    Golden{KeyType::timestamptz, "1999-12-31 23:59:59.999999+00", 4005},
    Golden{KeyType::timestamptz, "2024-02-29 12:34:56.7+05:30", 4054},
    Golden{KeyType::timestamptz, "2024-02-29T07:04:56.700Z", 4054},
    Golden{KeyType::timestamptz, "infinity", 2678},
    Golden{KeyType::boolean, "true", 4024},
    Golden{KeyType::boolean, "f", 2480},
    Golden{KeyType::numeric, "0.000000", 1503},
    Golden{KeyType::numeric, "1", 2881},
    Golden{KeyType::numeric, "-1.00", 2881},
    Golden{KeyType::numeric, "0.000001", 3959},
    Golden{KeyType::numeric, "10000.0", 2882},
    Golden{KeyType::numeric, "12345678.90", 2998},
    Golden{KeyType::numeric, "100000000", 2879},
    Golden{KeyType::numeric, "NaN", 1504},
    Golden{KeyType::character, "", 2214},
    Golden{KeyType::character, "DE", 3903},
    Golden{KeyType::character, "DE          ", 3903},
    Golden{KeyType::character, "a b         ", 2235},
    Golden{KeyType::timestamp, "2000-01-01 00:00:00", 2480},
    Golden{KeyType::timestamp, "2024-02-29T12:34:56.700", 439},
    Golden{KeyType::timestamp, "infinity", 2678},
    Golden{KeyType::timestamp, "0044-03-15 12:00:00 BC", 1911},
};

std::optional<std::uint32_t> bucket(std::initializer_list<KeyType> types, std::initializer_list<const char*> values)
{
    std::vector<KeyValue> key;
    for (const char* value : values) {
        key.push_back(value == nullptr ? KeyValue() : KeyValue(value));
    }
    const auto hash = partition_hash(std::vector<KeyType>(types), key);
    return hash ? std::optional(number(bucket_of_hash(*hash, 4096))) : std::nullopt;
}

TEST(BucketMap, PutsKeysWherePostgresPutsThem)
{
    for (const Golden& golden : kGolden) {
        EXPECT_EQ(bucket({golden.type}, {golden.value}), golden.bucket) << golden.value;
    }
}

TEST(BucketMap, CombinesColumnsAndSkipsNullAsPostgresDoes)
{
    const auto types = {KeyType::int8, KeyType::text};
    EXPECT_EQ(bucket(types, {"42", "a"}), 3696U);
    EXPECT_EQ(bucket(types, {"42", kNull}), 2658U);
    EXPECT_EQ(bucket(types, {kNull, "a"}), 3934U);
    EXPECT_EQ(bucket(types, {kNull, kNull}), 0U);
}

TEST(BucketMap, LeavesToTheServerWhatItCannotRead)
{
    using enum KeyType;
    for (const char* text : {"", " 1", "1 ", "1.5", "0x1", "+-1", "99999999999999999999", "one"}) {
        EXPECT_EQ(bucket({int8}, {text}), std::nullopt) << text;
    }
    EXPECT_EQ(bucket({int2}, {"32768"}), std::nullopt);
    EXPECT_EQ(bucket({uuid}, {"123e4567-e89b-12d3-a456-42661417400g"}), std::nullopt);
    EXPECT_EQ(bucket({uuid}, {"123e4567"}), std::nullopt);
    for (const char* text :
         {"2023-02-29", "2023-13-01", "2023-00-01", "2023-01-00", "0000-01-01", "1/2/2023", "2023-01-01x", "now"}) {
        EXPECT_EQ(bucket({date}, {text}), std::nullopt) << text;
    }
    for (const char* text :
         {"2023-01-01", "2023-01-01 25:00:00+00", "2023-01-01 10:61:00+00", "2023-01-01 10:00:00.1234567+00",
          "2023-01-01 10:00:00+", "2023-01-01 10:00:00 Europe/Berlin"}) {
        EXPECT_EQ(bucket({timestamptz}, {text}), std::nullopt) << text;
    }
    for (const char* text : {"2023-01-01", "2023-01-01 10:00:00+00", "2023-01-01T10:00:00Z", "now"}) {
        EXPECT_EQ(bucket({timestamp}, {text}), std::nullopt) << text;
    }
    for (const char* text : {"", "-", ".5", "5.", "1e3", "1,5", "--1", "nan", " 1"}) {
        EXPECT_EQ(bucket({numeric}, {text}), std::nullopt) << text;
    }
    EXPECT_EQ(bucket({boolean}, {"maybe"}), std::nullopt);
    for (const char* text : {"", "0a", "\\x0", "\\x0g"}) {
        EXPECT_EQ(bucket({bytes}, {text}), std::nullopt) << text;
    }
    for (const char* text : {"", "10.0.0", "10.0.0.1/33", "::1/129", "10.0.0.1/", "/8", "fe80::%eth0"}) {
        EXPECT_EQ(bucket({network}, {text}), std::nullopt) << text;
    }
    for (const char* text : {"", "08:00:2b:01:02", "08-00-2b-01-02-03", "0g:00:2b:01:02:03"}) {
        EXPECT_EQ(bucket({hardware_address}, {text}), std::nullopt) << text;
    }
    for (const char* text : {"", "24:00:00.000001", "25:00", "10:00:00+00", "now"}) {
        EXPECT_EQ(bucket({KeyType::time}, {text}), std::nullopt) << text;
    }
    EXPECT_EQ(bucket({int4, int4}, {"1"}), std::nullopt);
}

TEST(BucketMap, KnowsTheTypesItComputes)
{
    EXPECT_EQ(key_type("smallint"), KeyType::int2);
    EXPECT_EQ(key_type("character varying(40)"), KeyType::text);
    EXPECT_EQ(key_type("timestamp with time zone"), KeyType::timestamptz);
    EXPECT_EQ(key_type("character(10)"), KeyType::character);
    EXPECT_EQ(key_type("numeric(10,2)"), KeyType::numeric);
    EXPECT_EQ(key_type("timestamp(3) with time zone"), KeyType::timestamptz);
    EXPECT_EQ(key_type("time(0) without time zone"), KeyType::time);
    for (const char* other :
         {"numeric", "interval(3)", "text[]", "numeric(3,1)[]", "time with time zone", "jsonb", "", "("}) {
        EXPECT_EQ(key_type(other), std::nullopt) << other;
    }
}

RC_GTEST_PROP(BucketMapProperty, EqualNumbersOfAnyWidthShareABucket, (std::int16_t value))
{
    const std::string text = std::to_string(value);
    const auto narrow = bucket({KeyType::int2}, {text.c_str()});
    RC_ASSERT(narrow.has_value());
    RC_ASSERT(bucket({KeyType::int4}, {text.c_str()}) == narrow);
    RC_ASSERT(bucket({KeyType::int8}, {text.c_str()}) == narrow);
}

RC_GTEST_PROP(BucketMapProperty, NoTextMakesItFail, (const std::string& text))
{
    for (const KeyType type : {KeyType::int8, KeyType::uuid, KeyType::date, KeyType::timestamptz}) {
        const std::array types{type};
        const std::array<KeyValue, 1> key{text};
        const auto hash = partition_hash(types, key);
        RC_ASSERT(!hash || bucket_of_hash(*hash, 64) < BucketId{64});
    }
}

} // namespace
} // namespace keyshift
