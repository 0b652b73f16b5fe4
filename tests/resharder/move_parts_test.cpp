/// The small pure parts of a move.

#include "core/snapshot_filter.hpp"
#include "resharder/apply_statement.hpp"
#include "resharder/move_guards.hpp"
#include "resharder/move_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace keyshift::resharder {
namespace {

TEST(MoveState, GoesOnlyForwardFromTheFence)
{
    for (const MoveState state : {MoveState::fenced, MoveState::switched, MoveState::settling, MoveState::done}) {
        EXPECT_FALSE(before_fence(state)) << name(state);
        EXPECT_FALSE(is_legal(state, MoveState::copying)) << name(state);
    }
    EXPECT_FALSE(is_legal(MoveState::catching_up, MoveState::fenced));
    EXPECT_FALSE(is_legal(MoveState::attached, MoveState::switched));
}

TEST(MoveGuards, AFenceNeedsTheRecordOfTheLastChangeAndOfTheBarrierWhileRowsAreUnderWay)
{
    EXPECT_EQ(must_be_recorded(Lsn{200}, Lsn{90}, false), Lsn{90});
    EXPECT_EQ(must_be_recorded(Lsn{200}, Lsn{90}, true), Lsn{200});
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
