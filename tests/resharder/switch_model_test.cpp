/// The switch protocol in every state that it can reach, and the same with one rule broken: each rule is needed, and the
/// search would see its loss. INV-MOV-1, INV-MOV-2, INV-CDC-2.

#include "tests/resharder/switch_search.hpp"
#include "tests/resharder/switch_streams.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

namespace keyshift::test {
namespace {

using resharder::ApplyAnswer;
using resharder::LocalBucket;
using resharder::MoveProgress;
using resharder::MoveState;
using resharder::WayBack;

struct NamedScope {
    const char* name;
    Scope scope;
};

void PrintTo(const NamedScope& scope, std::ostream* stream)
{
    *stream << scope.name;
}

class SwitchModel : public testing::TestWithParam<NamedScope> {};

TEST_P(SwitchModel, KeepsItsPromisesInEveryReachableState)
{
    const SearchResult result = search(GetParam().scope, Rules{});
    EXPECT_EQ(result.violation, Violation::none) << name(result.violation) << " after\n" << result.way;
    EXPECT_TRUE(result.complete) << "there are more than " << result.states << " states";
    EXPECT_GT(result.states, 10'000U) << "a model of so few states has nothing to say";
    fmt::print("{}: {} states, {} transitions\n", GetParam().name, result.states, result.transitions);
}

constexpr Scope kTwoFaults{2, 2, 0, 1, 0};
constexpr Scope kForged{1, 1, 1, 0, 0};
constexpr Scope kFallsBack{2, 1, 0, 0, 1};
constexpr Scope kGoesBack{2, 2, 0, 1, 0, true};

INSTANTIATE_TEST_SUITE_P(Scopes, SwitchModel,
                         testing::Values(NamedScope{"TwoFaultsAndACancel", kTwoFaults},
                                         NamedScope{"AForgedMessage", kForged},
                                         NamedScope{"ARecipientThatFellBack", kFallsBack},
                                         NamedScope{"ABucketThatGoesBackToAKeptCopy", kGoesBack}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

struct Mutation {
    const char* name;
    void (*breaks)(Rules&);
    Violation found; ///< what the search must come to first
    Scope scope = kTwoFaults;
};

constexpr std::array kBackFromTheFence = [] {
    std::array<resharder::LegalStep, resharder::kLegalSteps.size() + 1> steps{};
    std::copy(resharder::kLegalSteps.begin(), resharder::kLegalSteps.end(), steps.begin());
    steps.back() = {MoveState::fenced, MoveState::aborting};
    return steps;
}();

const Mutation kMutations[] = {
    {"ABarrierIsTakenForAFence", [](Rules& rules) { rules.barrier_is_no_fence = false; }, Violation::event_lost},
    {"AnOlderTrysBarrierIsTakenForItsOwn", [](Rules& rules) { rules.own_barrier_only = false; },
     Violation::copies_differ},
    {"LessForLessOrEqualAtTheAcknowledgedPosition", [](Rules& rules) { rules.acknowledged_up_to = false; },
     Violation::event_lost},
    {"NoOwnerEpochIsChecked",
     [](Rules& rules) {
         rules.may_act = [](const std::optional<MoveProgress>&, std::int64_t) {
             return true;
         };
     },
     Violation::wrong_end},
    {"ANewerOwnerIsOvertaken",
     [](Rules& rules) {
         rules.may_take_over = [](std::int64_t, std::int64_t) {
             return true;
         };
     },
     Violation::wrong_end,
     {3, 1, 0, 1, 0}},
    {"TheSleepersTransactionIsNotWaitedFor", [](Rules& rules) { rules.takeover_waits = false; },
     Violation::copies_differ},
    {"TheJournalTakesStepsOfOlderOwners", [](Rules& rules) { rules.journal_checks_owner = false; },
     Violation::wrong_end},
    {"TheCatalogIsToldBeforeTheTriggerIsThere", [](Rules& rules) { rules.trigger_before_catalog = false; },
     Violation::two_owners},
    {"TheRecipientOpensBeforeTheFenceIsRecorded", [](Rules& rules) { rules.record_before_open = false; },
     Violation::two_owners},
    {"TheStreamConfirmsPastAnUnrecordedMessage", [](Rules& rules) { rules.holds_unrecorded = false; },
     Violation::event_lost},
    {"TheFenceWaitsForTheAcknowledgementAlone", [](Rules& rules) { rules.waits_for_record = false; },
     Violation::old_event_after_new},
    {"ABucketsLastChangeIsNotWaitedFor",
     [](Rules& rules) {
         rules.must_be_recorded = [](Lsn, Lsn last_change, bool) {
             return Lsn{last_change.value - std::min(last_change.value, lsn_at(1).value)};
         };
     },
     Violation::event_lost},
    {"ApplyIsNoChain",
     [](Rules& rules) {
         rules.may_apply = [](const std::optional<MoveProgress>&, bool, std::int64_t, Lsn) {
             return ApplyAnswer::applies;
         };
     },
     Violation::copies_differ},
    {"ALostReplyIsTakenForNoFence",
     [](Rules& rules) {
         rules.way_back = [](MoveState state, bool) {
             return resharder::way_back(state, false);
         };
     },
     Violation::wrong_end},
    {"AFenceMayBeTakenBack",
     [](Rules& rules) {
         rules.steps = kBackFromTheFence;
         rules.way_back = [](MoveState state, bool landed) {
             return state == MoveState::fenced ? WayBack::abort : resharder::way_back(state, landed);
         };
     },
     Violation::illegal_step},
    {"AnyFenceIsTakenForThisMoves",
     [](Rules& rules) {
         rules.is_fenced_by = [](const LocalBucket&, const resharder::BucketMove&) {
             return true;
         };
     },
     Violation::two_owners},
    {"TheRecipientsCoverageIsNotChecked",
     [](Rules& rules) {
         rules.covers_fence = [](std::optional<Lsn>, std::optional<Lsn>) {
             return true;
         };
     },
     Violation::write_lost, kFallsBack},
    {"AKeptCopyIsWrittenAfterItWasTakenOver",
     [](Rules& rules) {
         rules.may_follow = [](bool, const std::optional<Lsn>&, Lsn) {
             return true;
         };
     },
     Violation::copies_differ, kGoesBack},
    {"LessForLessOrEqualAtTheCoverage",
     [](Rules& rules) {
         rules.covers_fence = [](std::optional<Lsn> barrier, std::optional<Lsn> applied) {
             return barrier && applied && *applied > *barrier;
         };
     },
     Violation::stuck},
    {"AForgedMessageIsBelieved", [](Rules& rules) { rules.checks_messages = false; }, Violation::event_lost, kForged},
};

void PrintTo(const Mutation& mutation, std::ostream* stream)
{
    *stream << mutation.name;
}

class SwitchMutation : public testing::TestWithParam<Mutation> {};

TEST_P(SwitchMutation, IsCaught)
{
    Rules rules;
    GetParam().breaks(rules);
    const SearchResult result = search(GetParam().scope, rules);
    EXPECT_EQ(result.violation, GetParam().found)
        << name(result.violation) << " instead of " << name(GetParam().found) << " after\n"
        << result.way;
    fmt::print("{}: {}, after {} states:\n{}", GetParam().name, name(result.violation), result.states, result.way);
}

INSTANTIATE_TEST_SUITE_P(EachRule, SwitchMutation, testing::ValuesIn(kMutations),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

} // namespace
} // namespace keyshift::test
