#include "cdc/publish/size_limits.hpp"

#include <gtest/gtest.h>

namespace keyshift::cdc {
namespace {

constexpr std::size_t kBatch = 1'000'000;

TEST(SizeLimits, NobodyIsAskedBeforeARefusal)
{
    SizeLimits sizes(kBatch);
    EXPECT_EQ(sizes.settle([](const std::string&) -> std::size_t { throw "asked"; }), kBatch);
}

TEST(SizeLimits, BatchesShrinkToATopicsLimit)
{
    SizeLimits sizes(kBatch);
    sizes.refused("t", 100);
    EXPECT_EQ(sizes.settle([](const std::string&) { return 30'000U; }), 30'000U);
    EXPECT_FALSE(sizes.of("t").has_value()) << "a record of 100 bytes was not in the way";
    EXPECT_EQ(sizes.settle([](const std::string&) { return 10U; }), 30'000U) << "there was no other refusal";
}

TEST(SizeLimits, ARecordAboveTheLimitShrinksNothing)
{
    SizeLimits sizes(kBatch);
    sizes.refused("t", 2'500'000);
    EXPECT_EQ(sizes.settle([](const std::string&) { return 2'000'000U; }), kBatch);
}

TEST(SizeLimits, ARefusalThatNothingExplainsEndsWithTheRecordsSizeAsTheLimit)
{
    SizeLimits sizes(kBatch);
    int refusals = 0;
    // The broker keeps its limits to itself.
    while (!sizes.of("t") && refusals < 100) {
        ++refusals;
        sizes.refused("t", 5'000);
        sizes.settle([](const std::string&) { return 0U; });
    }
    EXPECT_EQ(sizes.of("t"), 4'999U);
    EXPECT_LT(refusals, 10) << "each is a new producer";
    EXPECT_EQ(sizes.settle([](const std::string&) { return 0U; }), 1U);
    sizes.forget();
    EXPECT_FALSE(sizes.of("t").has_value());
    EXPECT_EQ(sizes.settle([](const std::string&) { return 0U; }), kBatch);
}

} // namespace
} // namespace keyshift::cdc
