#include "cdc/source/row_batch.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace keyshift::test {
namespace {

using namespace cdc;

std::vector<std::optional<std::string>> values(const RowBatch& batch, std::size_t row)
{
    Tuple tuple;
    batch.read(row, tuple);
    std::vector<std::optional<std::string>> values;
    for (const Datum& datum : tuple) {
        values.push_back(datum.kind == Datum::Kind::null ? std::nullopt : std::optional(std::string(datum.text)));
    }
    return values;
}

using Values = std::vector<std::optional<std::string>>;

TEST(RowBatch, KeepsRowsAsCopyWritesThem)
{
    RowBatch batch(3);
    batch.add("1\tone\t\n");
    batch.add("2\t\\N\tb\\\\a\\tc\\nd\\re\\bf\\fg\\vh\n");
    batch.add("\\N\t\\N\t\\N\n");
    batch.add("\\\\N\t\\.\t3");
    ASSERT_EQ(batch.rows(), 4U);
    EXPECT_EQ(values(batch, 0), (Values{"1", "one", ""}));
    EXPECT_EQ(values(batch, 1), (Values{"2", std::nullopt, "b\\a\tc\nd\re\bf\fg\vh"}));
    EXPECT_EQ(values(batch, 2), (Values{std::nullopt, std::nullopt, std::nullopt}));
    EXPECT_EQ(values(batch, 3), (Values{"\\N", ".", "3"}));
}

TEST(RowBatch, TakesTheLabelOffEachRow)
{
    RowBatch batch(1);
    batch.expect_label();
    batch.add("(0,1)\ta\n");
    batch.add("(0,2)\tb\n");
    EXPECT_EQ(batch.label(), "(0,2)");
    EXPECT_EQ(values(batch, 1), Values{"b"});
    RowBatch bare(0);
    bare.expect_label();
    bare.add("(7,1)\n");
    EXPECT_EQ(bare.rows(), 1U);
    EXPECT_EQ(bare.label(), "(7,1)");
}

TEST(RowBatch, RefusesWhatIsNoRowOfItsColumns)
{
    RowBatch batch(2);
    EXPECT_THROW(batch.add("1\n"), std::invalid_argument);
    EXPECT_THROW(batch.add("1\t2\t3\n"), std::invalid_argument);
    EXPECT_THROW(batch.add("1\\\t\\"), std::invalid_argument);
}

} // namespace
} // namespace keyshift::test
