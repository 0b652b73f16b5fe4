#include "cdc/source/ownership.hpp"

#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace cdc;
using Verdict = BucketOwnership::Verdict;

constexpr BucketId kBucket{3};

OwnedInterval interval(std::uint64_t epoch, std::uint64_t open, std::optional<std::uint64_t> fence = {})
{
    return {"users", kBucket, Epoch{epoch}, Lsn{open}, fence ? std::optional(Lsn{*fence}) : std::nullopt};
}

PlacementMessage message(PlacementMessage::Kind kind, std::uint64_t epoch, std::uint64_t lsn)
{
    return {kind, 7, "users", kBucket, Epoch{epoch}, "token", Lsn{lsn}};
}
PlacementMessage fence(std::uint64_t epoch, std::uint64_t lsn)
{
    return message(PlacementMessage::Kind::fence, epoch, lsn);
}
PlacementMessage open(std::uint64_t epoch, std::uint64_t lsn)
{
    return message(PlacementMessage::Kind::open, epoch, lsn);
}

class OwnershipTest : public testing::Test {
protected:
    Verdict verdict(std::uint64_t lsn) { return ownership_.bucket("users", kBucket).at(Lsn{lsn}).verdict; }
    Epoch epoch(std::uint64_t lsn) { return ownership_.bucket("users", kBucket).at(Lsn{lsn}).epoch; }

    Ownership ownership_;
};

struct Case {
    const char* name;
    std::vector<OwnedInterval> history;
    std::uint64_t lsn;
    Verdict verdict;
    std::uint64_t epoch;
};

TEST_F(OwnershipTest, AnEventIsItsIntervalsOrNobodys)
{
    const std::vector<Case> cases = {
        {"never owned", {}, 100, Verdict::drop, 0},
        {"owned for ever", {interval(1, 0)}, 100, Verdict::publish, 1},
        {"before the open", {interval(2, 100)}, 99, Verdict::drop, 0},
        {"at the open", {interval(2, 100)}, 100, Verdict::publish, 2},
        {"owned again", {interval(1, 0, 50), interval(3, 100)}, 120, Verdict::publish, 3},
        {"between two times", {interval(1, 0, 50), interval(3, 100)}, 70, Verdict::drop, 0},
        {"at the fence", {interval(1, 0, 50)}, 50, Verdict::drop, 0},
        {"a replay of what the fence waited for", {interval(1, 0, 50)}, 49, Verdict::drop, 1},
        {"before a split", {interval(1, 0), interval(2, 100)}, 99, Verdict::publish, 1},
        {"at a split", {interval(2, 100), interval(1, 0)}, 100, Verdict::publish, 2},
        {"split, then moved away", {interval(1, 0, 150), interval(2, 100, 150)}, 150, Verdict::drop, 0},
        {"a replay from before a split, moved since", {interval(1, 0, 150), interval(2, 100, 150)}, 99, Verdict::drop, 1},
    };
    for (const Case& one : cases) {
        Ownership ownership;
        ownership.load(one.history);
        const BucketOwnership::Answer answer = ownership.bucket("users", kBucket).at(Lsn{one.lsn});
        EXPECT_EQ(answer.verdict, one.verdict) << one.name;
        if (one.verdict == Verdict::publish) {
            EXPECT_EQ(answer.epoch, Epoch{one.epoch}) << one.name;
        }
    }
}

TEST_F(OwnershipTest, AnotherBucketOrGroupIsNotConcerned)
{
    ownership_.load({interval(1, 0)});
    EXPECT_EQ(ownership_.bucket("users", BucketId{4}).at(Lsn{9}).verdict, Verdict::drop);
    EXPECT_EQ(ownership_.bucket("posts", kBucket).at(Lsn{9}).verdict, Verdict::drop);
}

TEST_F(OwnershipTest, FromAFenceMessageOnTheBucketIsUndecidedUntilTheCatalogHasSpoken)
{
    ownership_.load({interval(1, 0)});
    EXPECT_TRUE(ownership_.announce(fence(2, 90), Lsn{100}));
    EXPECT_EQ(verdict(89), Verdict::publish);
    EXPECT_EQ(verdict(101), Verdict::undecided);
    EXPECT_EQ(ownership_.bucket("users", BucketId{4}).at(Lsn{101}).verdict, Verdict::drop);
    ownership_.accept(fence(2, 90));
    EXPECT_EQ(verdict(89), Verdict::publish);
    EXPECT_EQ(verdict(101), Verdict::drop);
}

TEST_F(OwnershipTest, TheSlotWaitsAtTheMessageUntilTheHistoryHoldsIt)
{
    ownership_.load({interval(1, 0)});
    ownership_.announce(fence(2, 90), Lsn{100});
    EXPECT_EQ(ownership_.hold(), Lsn{100});
    ownership_.accept(fence(2, 90));
    EXPECT_EQ(ownership_.hold(), Lsn{100});
    ownership_.load({interval(1, 0)});
    EXPECT_EQ(ownership_.hold(), Lsn{100});
    ownership_.load({interval(1, 0, 90)});
    EXPECT_EQ(ownership_.hold(), std::nullopt);
}

TEST_F(OwnershipTest, AnOpenBeginsAnEpoch)
{
    EXPECT_TRUE(ownership_.announce(open(2, 90), Lsn{100}));
    EXPECT_EQ(verdict(101), Verdict::undecided);
    ownership_.accept(open(2, 90));
    EXPECT_EQ(verdict(89), Verdict::drop);
    EXPECT_EQ(verdict(101), Verdict::publish);
    EXPECT_EQ(epoch(101), Epoch{2});
    EXPECT_EQ(ownership_.hold(), Lsn{100});
    ownership_.load({interval(2, 90)});
    EXPECT_EQ(ownership_.hold(), std::nullopt);
    EXPECT_EQ(verdict(101), Verdict::publish);
}

TEST_F(OwnershipTest, ARejectedMessageLeavesNoTrace)
{
    ownership_.load({interval(1, 0)});
    ownership_.announce(fence(2, 90), Lsn{100});
    ownership_.reject(fence(2, 90));
    EXPECT_EQ(verdict(101), Verdict::publish);
    EXPECT_EQ(ownership_.hold(), std::nullopt);
}

TEST_F(OwnershipTest, AMessageThatTheHistoryHoldsIsNoNews)
{
    ownership_.load({interval(1, 0, 90), interval(3, 200)});
    EXPECT_FALSE(ownership_.announce(fence(2, 90), Lsn{100}));
    EXPECT_FALSE(ownership_.announce(open(3, 200), Lsn{210}));
    EXPECT_EQ(ownership_.hold(), std::nullopt);
}

TEST_F(OwnershipTest, TheHistoryAnswersAnUncheckedMessageToo)
{
    ownership_.load({interval(1, 0)});
    ownership_.announce(fence(2, 90), Lsn{100});
    ownership_.load({interval(1, 0, 90)});
    EXPECT_EQ(verdict(101), Verdict::drop);
    EXPECT_EQ(ownership_.hold(), std::nullopt);
}

TEST_F(OwnershipTest, TwoMessagesHoldAtTheOlder)
{
    ownership_.load({interval(1, 0)});
    ownership_.announce(fence(2, 90), Lsn{100});
    ownership_.announce(open(3, 190), Lsn{200});
    EXPECT_EQ(ownership_.hold(), Lsn{100});
    ownership_.accept(open(3, 190));
    EXPECT_EQ(verdict(201), Verdict::undecided);
    ownership_.accept(fence(2, 90));
    EXPECT_EQ(verdict(150), Verdict::drop);
    EXPECT_EQ(epoch(201), Epoch{3});
}

TEST(OwnMessage, ReadsItsFormsAndNothingElse)
{
    const auto parsed = parse_own_message(
        R"({"type":"fence","move":7,"group":"users","bucket":17,"epoch":2,"token":"t","lsn":"0/16B3748"})");
    ASSERT_TRUE(parsed);
    const auto& placement = std::get<PlacementMessage>(*parsed);
    EXPECT_EQ(placement.move, 7);
    EXPECT_EQ(placement.bucket, BucketId{17});
    EXPECT_EQ(placement.lsn.to_string(), "0/16B3748");
    EXPECT_TRUE(std::holds_alternative<HeartbeatMessage>(*parse_own_message(R"({"type":"heartbeat"})")));
    for (const char* bad : {"", "{", "[]", "{}", R"({"type":"fence"})", R"({"type":"party"})", R"({"type":7})",
                            R"({"type":"open","move":7,"group":"g","bucket":1,"epoch":2,"token":"t","lsn":"x"})",
                            R"({"type":"open","move":1e300,"group":"g","bucket":1,"epoch":2,"token":"t","lsn":"0/1"})",
                            R"({"type":"open","move":7,"group":"g","bucket":-1,"epoch":2,"token":"t","lsn":"0/1"})",
                            R"({"type":"barrier","move":2.5,"id":"b"})"}) {
        EXPECT_FALSE(parse_own_message(bad)) << bad;
    }
}

} // namespace
} // namespace keyshift::test
