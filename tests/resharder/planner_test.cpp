#include "resharder/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace keyshift::resharder {
namespace {

/// "1111" : four buckets, all on n1.
GroupFacts group(const std::string& owners, const std::string& name = "users")
{
    GroupFacts facts{name, {}};
    for (const char owner : owners) {
        facts.buckets[BucketId{static_cast<std::uint32_t>(facts.buckets.size())}] = {std::string("n") + owner, 100, 10};
    }
    return facts;
}

std::vector<NodeFacts> nodes(const std::vector<std::string>& names)
{
    std::vector<NodeFacts> facts;
    for (const std::string& name : names) {
        facts.push_back({name});
    }
    return facts;
}

std::string after(const GroupFacts& facts, const std::vector<PlannedMove>& moves)
{
    std::string owners;
    for (const auto& [bucket, of_bucket] : facts.buckets) {
        std::string owner = of_bucket.owner;
        for (const PlannedMove& move : moves) {
            if (move.group == facts.name && move.bucket == bucket) {
                EXPECT_EQ(move.donor, owner);
                owner = move.recipient;
            }
        }
        owners += owner.substr(1);
    }
    return owners;
}

struct Case {
    std::string before;
    std::vector<std::string> nodes;
    Wish wish;
    std::string after;
    std::size_t moves;
};

TEST(Planner, GivesThePlacementOfEachCaseWithTheFewestMoves)
{
    const std::vector<std::string> two{"n1", "n2"};
    const std::vector<std::string> three{"n1", "n2", "n3"};
    const std::vector<Case> cases{
        {"1111", two, {}, "1122", 2},
        {"1122", two, {}, "1122", 0},
        {"11112", two, {}, "11122", 1},
        {"1112", two, {}, "1122", 1},
        {"111222", three, {}, "113223", 2},
        {"111111111", three, {}, "111323232", 6},
        {"1111", {"n1"}, {}, "1111", 0},
        {"1122", two, {{}, {}, "n2", Balance::count}, "1111", 2},
        {"112233", three, {{}, {}, "n3", Balance::count}, "112212", 2},
        {"1111", three, {{"n3"}, {}, {}, Balance::count}, "1133", 2},
        {"1111", three, {{"n2"}, {1, 3}, {}, Balance::count}, "1212", 2},
        {"1211", three, {{"n2"}, {1, 3}, {}, Balance::count}, "1212", 1},
    };
    for (const Case& one : cases) {
        const GroupFacts facts = group(one.before);
        const auto moves = plan_moves({nodes(one.nodes), {facts}}, one.wish);
        EXPECT_EQ(after(facts, moves), one.after) << one.before;
        EXPECT_EQ(moves.size(), one.moves) << one.before;
    }
}

TEST(Planner, BalancesEachGroupByItself)
{
    const auto moves =
        plan_moves({nodes({"n1", "n2"}), {group("1111", "users"), group("1122", "interactions")}}, Wish{});
    ASSERT_EQ(moves.size(), 2U);
    EXPECT_EQ(moves[0].group, "users");
    EXPECT_EQ(moves[1].group, "users");
}

TEST(Planner, GivesTheSamePlanForTheSameFacts)
{
    const ClusterFacts cluster{nodes({"n1", "n2", "n3"}), {group("1111111122")}};
    EXPECT_EQ(plan_moves(cluster, {}), plan_moves(cluster, {}));
}

TEST(Planner, BySizeMovesOneLargeBucketRatherThanManySmallOnes)
{
    GroupFacts facts = group("1111");
    facts.buckets[BucketId{2}].bytes = 300;
    const auto moves = plan_moves({nodes({"n1", "n2"}), {facts}}, {{}, {}, {}, Balance::size});
    ASSERT_EQ(moves.size(), 1U);
    EXPECT_EQ(number(moves[0].bucket), 2U);
}

TEST(Planner, BySizeEndsWhenNoMoveHelps)
{
    GroupFacts facts = group("12");
    facts.buckets[BucketId{0}].bytes = 1000;
    EXPECT_TRUE(plan_moves({nodes({"n1", "n2"}), {facts}}, {{}, {}, {}, Balance::size}).empty());
}

TEST(Planner, ADrainingNodeGivesAllAndTakesNothing)
{
    ClusterFacts cluster{nodes({"n1", "n2", "n3"}), {group("112233"), group("3333", "interactions")}};
    cluster.nodes[2].draining = true;
    const auto moves = plan_moves(cluster, Wish{});
    EXPECT_EQ(after(cluster.groups[0], moves), "112212");
    EXPECT_EQ(after(cluster.groups[1], moves), "1212");
    for (const PlannedMove& move : moves) {
        EXPECT_EQ(move.why, "node n3 is drained");
    }
    cluster.nodes[1].draining = true;
    EXPECT_EQ(after(cluster.groups[0], plan_moves(cluster, Wish{})), "111111");
    cluster.nodes[0].draining = true;
    EXPECT_TRUE(plan_moves(cluster, Wish{}).empty()) << "nobody is left to take them";
}

TEST(Planner, DrainingBySizeFillsTheEmptiestFirst)
{
    GroupFacts facts = group("1233");
    facts.buckets[BucketId{0}].bytes = 1000;
    const auto moves = plan_moves({nodes({"n1", "n2", "n3"}), {facts}}, {{}, {}, "n3", Balance::size});
    EXPECT_EQ(after(facts, moves), "1222");
}

} // namespace
} // namespace keyshift::resharder
