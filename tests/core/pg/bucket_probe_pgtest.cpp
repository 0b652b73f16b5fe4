#include "core/pg/bucket_probe.hpp"

#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace keyshift::pg {
namespace {

/// `values` makes 5,000 keys from i = 1..5000; every one must lie in the leaf that bucket_map computes.
struct Case {
    const char* name;
    const char* columns;
    const char* key;
    const char* values;
};
constexpr Case kCases[] = {
    {"smallint", "k1 smallint", "k1", "(random() * 65535 - 32768)::int::smallint"},
    {"integer", "k1 integer", "k1", "(random() * 4294967295 - 2147483648)::bigint::integer"},
    {"bigint", "k1 bigint", "k1", "((random() - 0.5) * 18446744073709549568)::bigint"},
    {"uuid", "k1 uuid", "k1", "gen_random_uuid()"},
    {"text", "k1 text", "k1", "left(repeat(U&'zo\\00EB\\+01F600' || md5(random()::text), 3), (random() * 60)::int)"},
    {"varchar", "k1 varchar(40)", "k1", "left(md5(random()::text), i % 33)"},
    {"date", "k1 date", "k1",
     "CASE i WHEN 1 THEN 'infinity'::date WHEN 2 THEN '-infinity' ELSE date '4000-01-01 BC' + (random() * 3000000)::int END"},
    {"timestamptz", "k1 timestamptz", "k1",
     "CASE i WHEN 1 THEN 'infinity'::timestamptz WHEN 2 THEN '-infinity' ELSE timestamptz '4000-01-01 BC' + random() * interval '8000 years' END"},
    {"boolean", "k1 boolean", "k1", "random() < 0.5"},
    {"numeric", "k1 numeric(60,20)", "k1",
     "CASE i WHEN 1 THEN 'NaN'::numeric WHEN 2 THEN 0 WHEN 3 THEN 10000 ELSE (random() - 0.5)::numeric * 10::numeric ^ (random() * 48 - 9)::int END"},
    {"character", "k1 character(20)", "k1",
     "left(md5(random()::text), i % 21) || CASE WHEN i % 3 = 0 THEN ' ' ELSE '' END"},
    {"timestamp", "k1 timestamp", "k1",
     "CASE i WHEN 1 THEN 'infinity'::timestamp WHEN 2 THEN '-infinity' ELSE timestamp '4000-01-01 BC' + random() * interval '8000 years' END"},
    {"bytea", "k1 bytea", "k1", "substr(decode(md5(random()::text), 'hex'), 1, i % 17)"},
    {"time", "k1 time(3)", "k1",
     "CASE i WHEN 1 THEN time '24:00' ELSE time '00:00' + random() * interval '24 hours' END"},
    {"timestamptz(2)", "k1 timestamptz(2)", "k1", "timestamptz '4000-01-01 BC' + random() * interval '8000 years'"},
    {"timestamp(0)", "k1 timestamp(0)", "k1", "timestamp '4000-01-01 BC' + random() * interval '8000 years'"},
    {"inet", "k1 inet", "k1",
     "CASE i % 4 WHEN 0 THEN set_masklen(inet '0.0.0.0' + (random() * 4294967295)::bigint, i % 33) WHEN 1 THEN inet '0.0.0.0' + i "
     "WHEN 2 THEN set_masklen(inet 'fe80::' + (random() * 1e18)::bigint, i % 129) ELSE inet '::ffff:1.2.3.0' + i % 250 END"},
    {"cidr", "k1 cidr", "k1", "network(set_masklen(inet '0.0.0.0' + (random() * 4294967295)::bigint, i % 33))"},
    {"macaddr", "k1 macaddr", "k1", "left(md5(random()::text), 12)::macaddr"},
    {"macaddr8", "k1 macaddr8", "k1", "left(md5(random()::text), 16)::macaddr8"},
    {"several columns", "k1 text, k2 bigint, k3 uuid, k4 date", "k1, k2, k3, k4",
     "CASE WHEN i % 4 = 0 THEN NULL ELSE md5(random()::text) END, CASE WHEN i % 5 = 0 THEN NULL ELSE i END, gen_random_uuid(), "
     "date '1900-01-01' + i"},
};

std::vector<KeyType> types_of(Connection& connection)
{
    const Result rows = connection.query("SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
                                         "WHERE attrelid = 'public.t'::regclass AND attnum > 0 ORDER BY attnum");
    std::vector<KeyType> types;
    for (int row = 0; row < rows.rows(); ++row) {
        types.push_back(key_type(rows.text(row, 0)).value());
    }
    return types;
}

TEST(BucketMapOnServer, PutsFiveThousandRandomKeysOfEveryTypeIntoTheRightLeaf)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    for (const Case& one : kCases) {
        SCOPED_TRACE(one.name);
        connection.script(fmt::format(
            "DROP TABLE IF EXISTS public.t; CREATE TABLE public.t ({}) PARTITION BY HASH ({})", one.columns, one.key));
        for (int bucket = 0; bucket < 64; ++bucket) {
            connection.script(fmt::format(
                "CREATE TABLE public.t_b{0} PARTITION OF public.t FOR VALUES WITH (MODULUS 64, REMAINDER {0})",
                bucket));
        }
        connection.script(fmt::format("INSERT INTO public.t SELECT {} FROM generate_series(1, 5000) i", one.values));
        const std::vector<KeyType> types = types_of(connection);
        const Result rows =
            connection.query("SELECT substr(relname, 4)::int, t.* FROM public.t JOIN pg_class c ON c.oid = t.tableoid");
        ASSERT_EQ(rows.rows(), 5000);
        for (int row = 0; row < rows.rows(); ++row) {
            std::vector<KeyValue> key;
            for (int column = 1; column < rows.columns(); ++column) {
                key.push_back(rows.optional_text(row, column));
            }
            const auto hash = partition_hash(types, key);
            ASSERT_TRUE(hash.has_value()) << key[0].value_or("NULL");
            ASSERT_EQ(number(bucket_of_hash(*hash, 64)), rows.integer(row, 0)) << key[0].value_or("NULL");
        }
    }
}

TEST(BucketProbe, AgreesWithTheServerAndLeavesNothingBehind)
{
    const test::TestDatabase database;
    Connection connection = database.connect("n1");
    EXPECT_NO_THROW(probe_buckets(connection));
    EXPECT_NO_THROW(probe_buckets(connection));
    EXPECT_FALSE(connection.in_transaction());
    EXPECT_EQ(connection.query("SELECT count(*) FROM pg_class WHERE relname = 'keyshift_probe'").integer(0, 0), 0);
}

TEST(BucketProbe, RefusesAServerThatHashesDifferently)
{
    // In LATIN1 the bytes of a text key are others than in UTF8.
    const test::TestDatabase database;
    const std::string name = test::unique_name("latin");
    Connection maintenance = database.connect();
    maintenance.query(fmt::format("CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'", name));
    try {
        Connection connection(
            {"n1", fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", database.port(), name), "", "test"});
        probe_buckets(connection);
        ADD_FAILURE() << "the difference was not found";
    } catch (const FatalError& error) {
        EXPECT_NE(error.parts().what.find("text"), std::string::npos) << error.what();
        EXPECT_NE(error.parts().what.find("n1"), std::string::npos) << error.what();
        EXPECT_FALSE(error.parts().next.empty());
    }
    maintenance.query(fmt::format("DROP DATABASE {} WITH (FORCE)", name));
}

} // namespace
} // namespace keyshift::pg
