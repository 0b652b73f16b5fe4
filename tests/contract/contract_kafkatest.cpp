// Every case of cases.json: the same SQL through the real Debezium and through the program keyshift gives the same records, in
// the same order in the same partitions, with the same keys, values and headers, text by text. Without `--oracle` Debezium's
// are those of golden/.
#include "tests/contract/captured_database.hpp"
#include "tests/contract/known_difference.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>

namespace keyshift::test {

void PrintTo(const GoldenRecord& record, std::ostream* out)
{
    *out << "key " << record.key << "\n  value " << record.value << "\n  headers " << record.headers;
}

namespace {

void expect_same(const GoldenRecords& debezium, const GoldenRecords& keyshift)
{
    const GoldenRecords expected = comparable(debezium);
    const GoldenRecords found = comparable(keyshift);
    for (const auto& [place, wanted] : expected) {
        const std::string where = fmt::format("{} partition {}", place.first, place.second);
        const auto present = found.find(place);
        if (present == found.end()) {
            ADD_FAILURE() << where << ": none of " << wanted.size() << " records, the first of them "
                          << testing::PrintToString(wanted.front());
            continue;
        }
        EXPECT_EQ(present->second.size(), wanted.size()) << where;
        for (std::size_t at = 0; at < std::min(wanted.size(), present->second.size()); ++at) {
            EXPECT_EQ(present->second[at], wanted[at]) << where << " record " << at;
        }
    }
    for (const auto& [place, records] : found) {
        EXPECT_TRUE(expected.contains(place))
            << place.first << " partition " << place.second << ": Debezium has none, first "
            << testing::PrintToString(records.front());
    }
}

class Contract : public testing::TestWithParam<ContractCase> {};

TEST_P(Contract, EveryRecordIsWhatDebeziumWrites)
{
    const ContractCase& one = GetParam();
    const std::string golden = contract_file("golden/" + one.name + ".tsv");
    CapturedDatabase database(one);
    database.run();
    const GoldenRecords keyshift = database.keyshift_records();
    if (Oracle::present()) {
        const GoldenRecords live = database.debezium_records();
        ASSERT_FALSE(live.empty());
        expect_same(put_right(one.name, live), keyshift);
        if (std::getenv("KEYSHIFT_WRITE_GOLDEN") != nullptr) {
            write_golden(golden, live);
        }
    }
    const GoldenRecords kept = read_golden(golden);
    ASSERT_FALSE(kept.empty());
    expect_same(put_right(one.name, kept), keyshift);
}

INSTANTIATE_TEST_SUITE_P(Debezium, Contract, testing::ValuesIn(read_cases()),
                         [](const testing::TestParamInfo<ContractCase>& present) { return present.param.name; });

} // namespace
} // namespace keyshift::test
