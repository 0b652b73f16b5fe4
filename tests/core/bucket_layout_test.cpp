// Buckets of different moduli: every hash has one bucket, whatever was split (docs/adr/0021).
#include "core/bucket_layout.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <stdexcept>

namespace keyshift::test {
namespace {

TEST(BucketLayout, splits_one_bucket_alone)
{
    BucketLayout layout(64);
    EXPECT_EQ(layout.split(BucketId{17}), BucketId{81});
    EXPECT_EQ(layout.modulus(BucketId{17}), 128U);
    EXPECT_EQ(layout.modulus(BucketId{81}), 128U);
    EXPECT_EQ(layout.modulus(BucketId{16}), 64U);
    EXPECT_EQ(layout.of_hash(17), BucketId{17});
    EXPECT_EQ(layout.of_hash(17 + 128), BucketId{17});
    EXPECT_EQ(layout.of_hash(17 + 64), BucketId{81});
    EXPECT_EQ(layout.of_hash(16 + 64), BucketId{16});
    EXPECT_EQ(layout.count(), 65U);
    EXPECT_EQ(layout.finest(), 128U);
    EXPECT_EQ(layout.coarsest(), 64U);
}

TEST(BucketLayout, splits_what_was_split_and_is_read_from_its_numbers_in_any_order)
{
    BucketLayout layout(64);
    layout.split(BucketId{17});
    EXPECT_EQ(layout.split(BucketId{17}), BucketId{145});
    EXPECT_EQ(layout.split(BucketId{81}), BucketId{209});
    EXPECT_EQ(layout.split(BucketId{81}), BucketId{337});
    EXPECT_EQ(layout, BucketLayout(64, {337, 81, 209, 145}));
    EXPECT_EQ(layout.modulus(BucketId{337}), 512U);
    EXPECT_EQ(layout.modulus(BucketId{145}), 256U);
}

TEST(BucketLayout, refuses_numbers_that_no_split_makes)
{
    EXPECT_THROW(BucketLayout(64, {145}), std::logic_error) << "17 is at 64, and 145 comes of 17 at 128";
    EXPECT_THROW(BucketLayout(64, {17}), std::logic_error);
    EXPECT_THROW(BucketLayout(63), std::logic_error);
    BucketLayout one(4096);
    EXPECT_THROW(one.split(BucketId{5}), std::logic_error);
}

RC_GTEST_PROP(BucketLayout, every_hash_is_in_the_one_bucket_whose_remainder_it_has_at_its_modulus, ())
{
    BucketLayout layout(1U << *rc::gen::inRange(0, 7));
    for (int splits = *rc::gen::inRange(0, 40); splits > 0; --splits) {
        const BucketId bucket = *rc::gen::elementOf(layout.numbers());
        if (layout.modulus(bucket) < BucketLayout::kFinest) {
            layout.split(bucket);
        }
    }
    const auto hash = *rc::gen::arbitrary<std::uint64_t>();
    int matches = 0;
    for (const BucketId bucket : layout.numbers()) {
        const bool here = hash % layout.modulus(bucket) == number(bucket);
        matches += here ? 1 : 0;
        RC_ASSERT(!here || bucket == layout.of_hash(hash));
    }
    RC_ASSERT(matches == 1);
}

} // namespace
} // namespace keyshift::test
