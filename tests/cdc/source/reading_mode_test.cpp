#include "cdc/source/reading_mode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using cdc::ReadingMode;
using ::testing::AllOf;
using ::testing::HasSubstr;

const ErrorParts kInternal{"receiving", "could not map filenode [XX000]", ""};
const ErrorParts kTooLarge{"receiving", "invalid memory alloc request size 1200000001 [XX000]", ""};

catalog::Node node()
{
    catalog::Node node;
    node.name = "n1";
    node.slot = "keyshift_n1";
    return node;
}

TEST(ReadingMode, AsksForTheNewestProtocolOfTheServer)
{
    ReadingMode mode;
    mode.begin({1});
    EXPECT_EQ(mode.options(150'020).protocol, 3);
    EXPECT_EQ(mode.options(150'020).streaming, "on");
    EXPECT_EQ(mode.options(180'000).protocol, 4);
    EXPECT_EQ(mode.options(180'000).streaming, "parallel");
}

TEST(ReadingMode, WholeTransactionsAreAskedForOnceStreamingFailedAndStreamedOnesAgainAfterwards)
{
    ReadingMode mode;
    mode.begin({100});
    mode.failed(node(), {100}, kInternal);
    mode.begin({100});
    EXPECT_EQ(mode.options(150'020).streaming, "off");
    mode.begin({200}); // that connection ended for another reason
    EXPECT_EQ(mode.way(), ReadingMode::Way::streamed);
}

TEST(ReadingMode, StopsAtATransactionThatFailsAgainAndAgainAndNotAtOneThatPassed)
{
    ReadingMode mode;
    mode.begin({100});
    mode.failed(node(), {100}, kInternal);
    for (std::uint64_t position = 100; position < 1'000; position += 100) {
        mode.begin({position});
        EXPECT_NO_THROW(mode.failed(node(), {position + 100}, kInternal)) << "it gets on";
    }
    for (int once : {1, 2}) {
        mode.begin({1'000});
        EXPECT_NO_THROW(mode.failed(node(), {1'000}, kInternal)) << once;
    }
    mode.begin({1'000});
    try {
        mode.failed(node(), {1'000}, kInternal);
        FAIL() << "it is tried for ever";
    } catch (const FatalError& error) {
        EXPECT_THAT(error.parts().why,
                    AllOf(HasSubstr("keyshift_n1"), HasSubstr(Lsn{1'000}.to_string()), HasSubstr("3 times")));
        EXPECT_THAT(error.parts().next, HasSubstr("keyshift cdc recover n1"));
    }
}

/// Streamed and whole transactions have failed for a row that is too large, at position 100.
ReadingMode reading_in_binary()
{
    ReadingMode mode;
    mode.begin({100});
    mode.failed(node(), {100}, kTooLarge);
    mode.begin({100});
    EXPECT_EQ(mode.way(), ReadingMode::Way::whole);
    mode.failed(node(), {100}, kTooLarge);
    mode.begin({100});
    return mode;
}

TEST(ReadingMode, ARowBeyondTheLimitsOfTextIsReadInBinaryUntilItsTransactionIsConfirmed)
{
    ReadingMode mode = reading_in_binary();
    EXPECT_TRUE(mode.options(150'020).binary);
    EXPECT_EQ(mode.options(150'020).streaming, "off");
    mode.committed({90}); // had been handed over before
    EXPECT_FALSE(mode.is_over({110})) << "it has not come yet";
    mode.begin({110}); // that connection ended for another reason
    EXPECT_EQ(mode.way(), ReadingMode::Way::binary);
    mode.committed({120});
    mode.committed({130});
    EXPECT_FALSE(mode.is_over({119}));
    EXPECT_TRUE(mode.is_over({120}));
    mode.begin({119});
    EXPECT_EQ(mode.way(), ReadingMode::Way::binary);
    mode.begin({120});
    EXPECT_EQ(mode.way(), ReadingMode::Way::streamed);
    EXPECT_FALSE(mode.options(150'020).binary);
}

TEST(ReadingMode, StopsAtOnceAtARowBeyondTheServersLimitsInBinaryToo)
{
    ReadingMode mode = reading_in_binary();
    EXPECT_THROW(mode.failed(node(), {100}, kTooLarge), FatalError);
    mode.begin({100});
    EXPECT_EQ(mode.way(), ReadingMode::Way::binary) << "the other ways need not fail again";
}

TEST(ReadingMode, OnlyFailuresOfDecodingCount)
{
    EXPECT_TRUE(ReadingMode::is_failure("XX000"));
    EXPECT_TRUE(ReadingMode::is_failure("54000"));
    EXPECT_FALSE(ReadingMode::is_failure("57P01"));
    EXPECT_FALSE(ReadingMode::is_failure("08006"));
}

} // namespace
} // namespace keyshift::test
