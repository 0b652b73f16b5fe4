// Buckets of different moduli: C++, the SQL functions of a node and PostgreSQL's own hash partitioning agree (docs/adr/0021).
#include "tests/catalog/cluster.hpp"

#include "core/bucket_layout.hpp"
#include "core/bucket_map.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

struct Key {
    const char* table;
    std::vector<std::string> columns;
    const char* row; ///< key of row n, as SQL
};

/// Types whose hash is computed, one of several columns, and one that the server is asked for.
const std::vector<Key> kKeys{{"numbers", {"id"}, "n::bigint"},
                             {"uuids", {"id"}, "md5(n::text)::uuid"},
                             {"texts", {"id"}, "'t' || n"},
                             {"pairs", {"a", "b"}, "n % 50, 'b' || n"},
                             {"amounts", {"id"}, "n::numeric + 0.5"}};

/// One node with a table of 8 buckets for each, where the numbers that splits make are written by hand: only the map is tested.
class SplitLayout : public testing::Test {
protected:
    SplitLayout()
    {
        cluster.add_database().connect().script("CREATE TABLE public.numbers (id bigint PRIMARY KEY);"
                                                "CREATE TABLE public.uuids (id uuid PRIMARY KEY);"
                                                "CREATE TABLE public.texts (id text PRIMARY KEY);"
                                                "CREATE TABLE public.pairs (a int, b text, PRIMARY KEY (a, b));"
                                                "CREATE TABLE public.amounts (id numeric PRIMARY KEY)");
        cluster.add_node(0);
        for (const std::uint32_t bucket : {3, 11, 7, 23, 7, 3}) {
            layout.split(BucketId{bucket > 7 ? bucket & 7U : bucket});
        }
        pg::Connection n1 = cluster.connect(0);
        for (const Key& key : kKeys) {
            cluster.distribute(key.table, key.columns);
            for (const BucketId bucket : layout.numbers()) {
                n1.query("INSERT INTO keyshift.local_bucket (group_name, bucket, state) VALUES ($1, $2::int, 'open') "
                         "ON CONFLICT DO NOTHING",
                         {key.table, std::to_string(number(bucket))});
            }
            n1.query("SELECT keyshift.internal_compile_ownership($1)", {key.table});
        }
    }

    Cluster cluster;
    BucketLayout layout{8};
};

TEST_F(SplitLayout, sql_and_server_agree_on_every_key)
{
    pg::Connection n1 = cluster.connect(0);
    EXPECT_GT(layout.finest(), 16U);
    for (const Key& key : kKeys) {
        std::string columns;
        std::string texts;
        for (const std::string& column : key.columns) {
            columns += ", k." + column;
            texts += (texts.empty() ? "k." : ", k.") + column + "::text";
        }
        std::string moduli;
        for (const BucketId bucket : layout.numbers()) {
            moduli += fmt::format("{}({}, {})", moduli.empty() ? "" : ", ", number(bucket), layout.modulus(bucket));
            EXPECT_EQ(one(n1, fmt::format("SELECT keyshift.internal_modulus('{}', 8, {})", key.table, number(bucket))),
                      std::to_string(layout.modulus(bucket)));
        }
        std::string names;
        for (const std::string& column : key.columns) {
            names += (names.empty() ? "" : ", ") + column;
        }
        const std::string counts = one(
            n1,
            fmt::format("WITH k({}) AS (SELECT {} FROM generate_series(1, 2000) n), b(bucket, modulus) AS (VALUES {}) "
                        "SELECT count(*) || ' ' || count(DISTINCT b.bucket) || ' ' || "
                        "count(*) FILTER (WHERE b.bucket = keyshift.bucket_of('public.{}', {})) FROM k JOIN b ON "
                        "satisfies_hash_partition('public.{}'::regclass, b.modulus, b.bucket{})",
                        names, key.row, moduli, key.table, texts, key.table, columns));
        EXPECT_EQ(counts, fmt::format("2000 {} 2000", layout.count())) << key.table;
    }
}

TEST_F(SplitLayout, the_program_agrees_with_the_node)
{
    pg::Connection n1 = cluster.connect(0);
    const std::vector<KeyType> type{KeyType::int8};
    for (std::int64_t id = -500; id < 500; ++id) {
        const std::vector<KeyValue> value{std::to_string(id)};
        const BucketId bucket = layout.of_hash(*partition_hash(type, value));
        ASSERT_EQ(one(n1, fmt::format("SELECT keyshift.bucket_of('public.numbers', '{}')", id)),
                  std::to_string(number(bucket)));
    }
}

TEST_F(SplitLayout, must_own_tells_the_halves_of_a_bucket_apart)
{
    pg::Connection n1 = cluster.connect(0);
    n1.script(
        "UPDATE keyshift.local_bucket SET state = 'closed' WHERE group_name IN ('numbers', 'amounts') AND bucket = 11;"
        "SELECT keyshift.internal_compile_ownership(g) FROM unnest(ARRAY['numbers', 'amounts']) g");
    for (const char* table : {"numbers", "amounts"}) {
        int refused = 0;
        for (int id = 1; id <= 200; ++id) {
            const std::string bucket = one(n1, fmt::format("SELECT keyshift.bucket_of('public.{}', '{}')", table, id));
            const std::string state =
                sqlstate_of(n1, fmt::format("SELECT keyshift.must_own('public.{}', '{}'::text)", table, id));
            ASSERT_EQ(state, bucket == "11" ? "KS001" : "") << table << " " << id;
            EXPECT_EQ(one(n1, fmt::format("SELECT keyshift.owns('public.{}', '{}')", table, id)),
                      bucket == "11" ? "f" : "t")
                << table << " " << id << " " << bucket;
            refused += state.empty() ? 0 : 1;
        }
        EXPECT_GT(refused, 0) << table;
    }
}

} // namespace
} // namespace keyshift::test
