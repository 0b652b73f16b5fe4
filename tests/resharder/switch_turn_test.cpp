#include "resharder/switch_turn.hpp"

#include <gtest/gtest.h>

namespace keyshift::resharder {
namespace {

TEST(SwitchTurns, OneBucketOfAGroupAtATimeAndGroupsBesideEachOther)
{
    SwitchTurns turns;
    auto users = turns.try_take("users");
    ASSERT_TRUE(users);
    EXPECT_FALSE(turns.try_take("users"));
    EXPECT_TRUE(turns.try_take("orders"));
    users.reset();
    EXPECT_TRUE(turns.try_take("users"));
}

TEST(SwitchTurns, ATurnThatWasHandedOnEndsWithItsLastHolder)
{
    SwitchTurns turns;
    std::optional<SwitchTurns::Turn> holder;
    {
        auto taken = turns.try_take("users");
        ASSERT_TRUE(taken);
        holder.emplace(std::move(*taken));
    }
    EXPECT_FALSE(turns.try_take("users"));
    holder.reset();
    EXPECT_TRUE(turns.try_take("users"));
}

} // namespace
} // namespace keyshift::resharder
