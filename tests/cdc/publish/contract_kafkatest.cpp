// The same SQL through the real Debezium (its output is kept in tests/data/debezium) and through the program keyshift:
// the same records, in the same order in the same partitions, with the same keys, values and headers, text by text.
#include "tests/cdc/publish/golden_records.hpp"
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

struct ContractCase {
    std::string name;   ///< of the golden file
    std::string sql;    ///< of the SQL files
    Environment config; ///< what Debezium was told by options

    friend void PrintTo(const ContractCase& one, std::ostream* out) { *out << one.name; }
};

class ContractTest : public testing::Test {
protected:
    /// As psql runs it: statement by statement, each its own transaction.
    void run_sql(const std::string& file) const
    {
        const Finished done =
            run_program({installation_.servers().postgres_clients() + "/psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d",
                         installation_.database().conninfo(), "-f", std::string(KEYSHIFT_CONTRACT) + "/" + file});
        ASSERT_EQ(done.status, 0) << done.err;
    }

    /// Every table of NAME.setup.sql captured, then NAME.sql.
    void run_case(const std::string& name, Environment config)
    {
        run_sql(name + ".setup.sql");
        installation_.set_up();
        installation_.must({"table", "capture", "--all"});
        config["KEYSHIFT_CDC__PARTITIONS"] = "4";
        installation_.start_daemon(config);
        // What the daemon reads of the empty tables first is no part of the contract.
        const auto read = [&] {
            return installation_.connect().query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0;
        };
        ASSERT_TRUE(comes_true(read, 60));
        run_sql(name + ".sql");
    }

    static GoldenRecords golden(const std::string& name)
    {
        return read_golden(fmt::format("{}/{}.tsv", KEYSHIFT_GOLDEN, name));
    }

    std::vector<kafka::Message> written(const std::string& topic, std::size_t wanted) const
    {
        std::vector<kafka::Message> messages;
        const auto complete = [&] {
            messages = read_topic(installation_.servers().kafka(), installation_.prefix() + "." + topic, wanted);
            return messages.size() >= wanted;
        };
        EXPECT_TRUE(comes_true(complete, 60)) << topic << " has " << messages.size() << " of " << wanted << " records";
        return messages;
    }

    GoldenRecords written(const GoldenRecords& expected) const
    {
        GoldenRecords records;
        for (const auto& [topic, count] : counts(expected)) {
            for (const kafka::Message& message : written(topic, count)) {
                records[{topic, message.key ? message.partition : kAnyPartition}].push_back(
                    golden_form(message, installation_.prefix(), installation_.database().name()));
            }
        }
        return records;
    }

    Installation installation_;
};

class Contract : public ContractTest, public testing::WithParamInterface<ContractCase> {};

TEST_P(Contract, EveryRecordIsWhatDebeziumWrites)
{
    run_case(GetParam().sql, GetParam().config);
    GoldenRecords expected = golden(GetParam().name);
    ASSERT_FALSE(expected.empty());
    GoldenRecords found = written(expected);
    if (GetParam().config.contains("KEYSHIFT_CDC__SCHEMAS")) {
        // A key's schema has the topic prefix in it, and so the partition depends on the run.
        expected = by_key(expected);
        found = by_key(found);
    }
    expected = keyless_sorted(std::move(expected));
    found = keyless_sorted(std::move(found));
    for (const auto& [place, golden] : expected) {
        const std::string where = fmt::format("{} partition {}", place.first, place.second);
        const auto present = found.find(place);
        ASSERT_TRUE(present != found.end()) << where;
        EXPECT_EQ(present->second.size(), golden.size()) << where;
        for (std::size_t at = 0; at < std::min(golden.size(), present->second.size()); ++at) {
            EXPECT_EQ(present->second[at].key, golden[at].key) << where << " record " << at;
            EXPECT_EQ(present->second[at].value, golden[at].value) << where << " record " << at;
            EXPECT_EQ(present->second[at].headers, golden[at].headers) << where << " record " << at;
        }
    }
    EXPECT_EQ(found.size(), expected.size());
}

INSTANTIATE_TEST_SUITE_P(
    Debezium, Contract,
    testing::Values(
        ContractCase{"types", "types", {}}, ContractCase{"kinds", "kinds", {}},
        ContractCase{"decimal_string", "types", {{"KEYSHIFT_CDC__DECIMAL", "string"}}},
        ContractCase{"decimal_double", "types", {{"KEYSHIFT_CDC__DECIMAL", "double"}}},
        ContractCase{"truncate", "kinds", {{"KEYSHIFT_CDC__TRUNCATE", "true"}, {"KEYSHIFT_CDC__TOMBSTONES", "false"}}},
        ContractCase{"keys", "keys", {}}, ContractCase{"schemas", "schemas", {{"KEYSHIFT_CDC__SCHEMAS", "true"}}},
        ContractCase{"types_schemas", "types", {{"KEYSHIFT_CDC__SCHEMAS", "true"}}},
        ContractCase{"kinds_schemas", "kinds", {{"KEYSHIFT_CDC__SCHEMAS", "true"}}}),
    [](const testing::TestParamInfo<ContractCase>& present) { return present.param.name; });

/// docs/debezium.md has the reasons.
struct Difference {
    std::string topic;
    std::string keyshift_topic;
    std::string debezium; ///< in a value, or in a key
    std::string keyshift;
};

TEST_F(ContractTest, WhereDebeziumIsWrongKeyshiftIsRight)
{
    const std::vector<Difference> differences{
        {"public.d_partial_index", "public.d_partial_index", R"({"a":1})", "NULL {"},
        {"public.d_nullable_unique", "public.d_nullable_unique", R"({"a":null})", "NULL {"},
        {"public.d_null_default", "public.d_null_default", R"("v":"dflt","n":5)", R"("v":null,"n":null)"},
        {"public.d_column_name", "public.d_column_name", R"("id":1,"ￃﾼnￃﾯ":"x")", R"("id":1,"ünï":"x")"},
        {"public.d_gr____er", "public.d_gr__er", "NULL", R"({"id":1})"},
        {"public.d_nested", "public.d_nested", R"("a":[null,null])",
         R"("a":[[1,2],[3,null]],"t":[["a","b,c"],["{",null]])"},
        {"public.d_name", "public.d_name", R"("n":null)", R"("n":"a name")"},
        {"public.d_quoted_default", "public.d_quoted_default", R"("before":{"id":1,"t":"te"})",
         R"("before":{"id":1,"t":"te'xt"})"},
        {"public.d_negative_scale", "public.d_negative_scale", R"("n":"BMLOWGDcR8HN)", R"("n":"ew==")"},
        {"public.d_float_digits", "public.d_float_digits", R"("r":1.17549435E-38,"d":1.2345678901234568E-5)",
         R"("r":1.1754944E-38,"d":1.2345678901234568E-5)"},
        {"public.d_bit_array", "public.d_bit_array", R"("b":null)", R"("b":["BQ==",null])"},
        {"public.d_time_array", "public.d_time_array", R"("t":[49890123000])", R"("t":[49890123456])"},
        {"public.d_hstore_order", "public.d_hstore_order", R"({\"Zoë\":\"1\",\"n\":\"2\"})",
         R"({\"n\":\"2\",\"Zoë\":\"1\"})"}};
    run_case("differences", {});
    const GoldenRecords debezium = golden("differences");
    for (const Difference& difference : differences) {
        std::string before;
        std::size_t count = 0;
        for (const auto& [place, records] : debezium) {
            for (const GoldenRecord& record : records) {
                before += place.first == difference.topic ? record.key + " " + record.value + "\n" : "";
                count += place.first == difference.topic ? 1 : 0;
            }
        }
        EXPECT_THAT(before, HasSubstr(difference.debezium)) << difference.topic;
        std::string now;
        for (const kafka::Message& message : written(difference.keyshift_topic, count)) {
            now += message.key.value_or("NULL") + " " + message.value.value_or("NULL") + "\n";
        }
        EXPECT_THAT(now, HasSubstr(difference.keyshift)) << difference.topic;
    }
}

} // namespace
} // namespace keyshift::test
