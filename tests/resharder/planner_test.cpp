#include "resharder/planner.hpp"

#include "resharder/apply_statement.hpp"
#include "resharder/move_state.hpp"
#include "resharder/snapshot_filter.hpp"

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
        facts.buckets.push_back({std::string("n") + owner, 100, 10});
    }
    return facts;
}

std::string after(const GroupFacts& facts, const std::vector<PlannedMove>& moves)
{
    std::string owners;
    for (std::size_t bucket = 0; bucket < facts.buckets.size(); ++bucket) {
        std::string owner = facts.buckets[bucket].owner;
        for (const PlannedMove& move : moves) {
            if (move.group == facts.name && number(move.bucket) == bucket) {
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
        const auto moves = plan_moves({one.nodes, {facts}}, one.wish);
        EXPECT_EQ(after(facts, moves), one.after) << one.before;
        EXPECT_EQ(moves.size(), one.moves) << one.before;
    }
}

TEST(Planner, BalancesEachGroupByItself)
{
    const auto moves = plan_moves({{"n1", "n2"}, {group("1111", "users"), group("1122", "interactions")}}, {});
    ASSERT_EQ(moves.size(), 2U);
    EXPECT_EQ(moves[0].group, "users");
    EXPECT_EQ(moves[1].group, "users");
}

TEST(Planner, GivesTheSamePlanForTheSameFacts)
{
    const ClusterFacts cluster{{"n1", "n2", "n3"}, {group("1111111122")}};
    EXPECT_EQ(plan_moves(cluster, {}), plan_moves(cluster, {}));
}

TEST(Planner, BySizeMovesOneLargeBucketRatherThanManySmallOnes)
{
    GroupFacts facts = group("1111");
    facts.buckets[2].bytes = 300;
    const auto moves = plan_moves({{"n1", "n2"}, {facts}}, {{}, {}, {}, Balance::size});
    ASSERT_EQ(moves.size(), 1U);
    EXPECT_EQ(number(moves[0].bucket), 2U);
}

TEST(Planner, BySizeEndsWhenNoMoveHelps)
{
    GroupFacts facts = group("12");
    facts.buckets[0].bytes = 1000;
    EXPECT_TRUE(plan_moves({{"n1", "n2"}, {facts}}, {{}, {}, {}, Balance::size}).empty());
}

TEST(MoveState, GoesOnlyForwardFromTheFence)
{
    for (const MoveState state : {MoveState::fenced, MoveState::switched, MoveState::settling, MoveState::done}) {
        EXPECT_FALSE(before_fence(state)) << name(state);
        EXPECT_FALSE(is_legal(state, MoveState::copying)) << name(state);
    }
    EXPECT_FALSE(is_legal(MoveState::catching_up, MoveState::fenced));
    EXPECT_FALSE(is_legal(MoveState::attached, MoveState::switched));
}

TEST(MoveState, NamesReadBack)
{
    for (std::size_t i = 0; i < kMoveStateNames.size(); ++i) {
        EXPECT_EQ(parse_move_state(name(static_cast<MoveState>(i))), static_cast<MoveState>(i));
    }
    EXPECT_EQ(parse_move_state("moved"), std::nullopt);
}

TEST(SnapshotFilter, HoldsWhatHadEndedAndNothingElse)
{
    const SnapshotFilter snapshot("100:110:103,107");
    EXPECT_TRUE(snapshot.holds(99));
    EXPECT_TRUE(snapshot.holds(100));
    EXPECT_FALSE(snapshot.holds(103));
    EXPECT_TRUE(snapshot.holds(109));
    EXPECT_FALSE(snapshot.holds(110));
    EXPECT_FALSE(snapshot.holds(500));
    EXPECT_THAT(snapshot.in_progress(), testing::ElementsAre(103U, 107U));
}

TEST(SnapshotFilter, ExtendsXidsAcrossTheWrap)
{
    const SnapshotFilter before("4294967290:4294967300:4294967295"); // xmax is 4 of the next epoch
    EXPECT_TRUE(before.holds(4294967294U));
    EXPECT_FALSE(before.holds(4294967295U));
    EXPECT_TRUE(before.holds(2U));
    EXPECT_FALSE(before.holds(4U));
    EXPECT_FALSE(before.holds(1000U));
}

TEST(SnapshotFilter, RefusesWhatIsNoSnapshot)
{
    EXPECT_THROW(SnapshotFilter("100"), std::invalid_argument);
    EXPECT_THROW(SnapshotFilter("a:b:"), std::invalid_argument);
}

TEST(ApplyStatement, CastsEachValueByItsColumnsType)
{
    MoveTable table;
    table.columns = {{"id", "bigint", false}, {"Odd \"name\"", "character varying(5)", false}};
    EXPECT_EQ(apply_statement(cdc::ChangeKind::update, "\"s\".\"t\"", table, {0}, {1}),
              "UPDATE ONLY \"s\".\"t\" AS t SET \"Odd \"\"name\"\"\" = v.s0::character varying(5) "
              "FROM unnest($1::text[], $2::text[]) AS v(b0, s0) WHERE t.\"id\" = v.b0::bigint");
}

TEST(ApplyStatement, ArrayElementsKeepQuotesBackslashesAndNull)
{
    std::string array = "{";
    append_element(array, "a\"b\\c");
    append_element(array, std::nullopt);
    append_element(array, "NULL");
    EXPECT_EQ(array, "{\"a\\\"b\\\\c\",NULL,\"NULL\"");
}

} // namespace
} // namespace keyshift::resharder
