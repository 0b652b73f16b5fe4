/// INV-PRJ-1 over random histories of everything that may happen to a projection, and the same with one rule broken: each rule is
/// needed, and the histories would show its loss. KEYSHIFT_HISTORY_STEPS: how many steps; KEYSHIFT_HISTORY_SEED: one history.

#include "tests/projections/histories/history.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>
#include <string>

namespace keyshift::test {
namespace {

constexpr int kStepsOfOne = 2000;

long from_environment(const char* variable, long otherwise)
{
    const char* text = std::getenv(variable); // NOLINT(concurrency-mt-unsafe)
    return text == nullptr ? otherwise : std::stol(text);
}

struct Found {
    Broken broken = Broken::none;
    std::uint32_t seed = 0;
    long steps = 0;
    std::string difference;
};

Found search(const Rules& rules, long steps)
{
    Found found;
    const long only = from_environment("KEYSHIFT_HISTORY_SEED", 0);
    for (std::uint32_t seed = 1; found.steps < steps && found.broken == Broken::none; ++seed) {
        found.seed = only != 0 ? static_cast<std::uint32_t>(only) : seed;
        History history(found.seed, rules);
        found.broken = history.run(kStepsOfOne);
        found.difference = history.difference();
        found.steps += kStepsOfOne;
    }
    return found;
}

TEST(Histories, EndEqualToTheDefinitionWhateverHappens)
{
    const Found found = search(Rules{}, from_environment("KEYSHIFT_HISTORY_STEPS", 1'000'000));
    EXPECT_EQ(found.broken, Broken::none)
        << name(found.broken) << "; KEYSHIFT_HISTORY_SEED=" << found.seed << " gives it again\n"
        << found.difference;
    fmt::print("{} steps in {} histories\n", found.steps, found.steps / kStepsOfOne);
}

struct Mutation {
    const char* name;
    void (*breaks)(Rules&);
    Broken found = Broken::differs;
};

const Mutation kMutations[] = {
    {"LessOrEqualForLessInTheGuard",
     [](Rules& rules) {
         rules.takes = [](const SourcePosition& stored, const SourcePosition& incoming) {
             return stored <= incoming;
         };
     },
     Broken::replay_wrote},
    {"TheVersionHasNoEpoch",
     [](Rules& rules) {
         rules.takes = [](const SourcePosition& stored, const SourcePosition& incoming) {
             return std::pair(stored.commit_lsn, stored.seq) < std::pair(incoming.commit_lsn, incoming.seq);
         };
     }},
    {"TheVersionHasNoPlaceInItsTransaction",
     [](Rules& rules) {
         rules.takes = [](const SourcePosition& stored, const SourcePosition& incoming) {
             return std::pair(stored.epoch, stored.commit_lsn) < std::pair(incoming.epoch, incoming.commit_lsn);
         };
     }},
    {"WhateverComesLastWins",
     [](Rules& rules) {
         rules.takes = [](const SourcePosition& stored, const SourcePosition& incoming) {
             return stored != incoming;
         };
     }},
    {"NoTombstoneIsKept",
     [](Rules& rules) {
         rules.keeps_tombstones = false;
     }},
    {"TheOldKeyStays",
     [](Rules& rules) {
         rules.old_key_leaves = false;
     }},
    {"TheOldestOfABatchIsKept",
     [](Rules& rules) {
         rules.newest_of_each = [](const projections::Definition& definition,
                                   std::vector<projections::RowChange*> changes) {
             std::map<ModelKey, projections::RowChange*> oldest;
             for (projections::RowChange* change : projections::newest_of_each(definition, changes)) {
                 oldest[key_of(change->base)] = change;
             }
             for (projections::RowChange* change : changes) {
                 if (projections::RowChange*& one = oldest[key_of(change->base)]; change->version < one->version) {
                     one = change;
                 }
             }
             changes.clear();
             for (const auto& [key, change] : oldest) {
                 changes.push_back(change);
             }
             return changes;
         };
     }},
    {"ANodeHearsOfABatchBeforeTheOthersHaveIt",
     [](Rules& rules) {
         rules.tells_behind = false;
     }},
    {"ANodeLosesRowsAndNotWhatItWasTold",
     [](Rules& rules) {
         rules.keeps_the_tail = false;
     }},
    {"TheBackfillDoesNotWaitForTheDisk",
     [](Rules& rules) {
         rules.backfill_waits_for_disk = false;
     }},
    {"ARestartBeginsAtTheFarthestNode",
     [](Rules& rules) {
         rules.position_of = [](const std::vector<std::optional<std::int64_t>>& nodes, std::int64_t start) {
             return std::max(start, std::max_element(nodes.begin(), nodes.end())->value_or(start));
         };
     }},
    {"NodesWithoutProgressCountAsTold",
     [](Rules& rules) {
         rules.anchors = false;
     }},
    {"NodesThatWereToldMoreStayAhead",
     [](Rules& rules) {
         rules.anchors_all = false;
     }},
    {"ABucketThatIsClosedIsWritten",
     [](Rules& rules) {
         rules.closed_buckets_refuse = false;
     }},
    {"WhatAClosedBucketRefusedIsForgotten",
     [](Rules& rules) {
         rules.refused_are_kept = false;
     }},
    {"NoOwnerIsChecked",
     [](Rules& rules) {
         rules.is_owner = [](std::int64_t, std::int64_t) {
             return true;
         };
     }},
    {"OwnersOfAnEarlierProjectionLookLikeIts",
     [](Rules& rules) {
         rules.next_owner_epoch = [](std::int64_t highest, std::int64_t) {
             return highest + 1;
         };
     }},
    {"TransactionsWithoutProgressAreAnyones",
     [](Rules& rules) {
         rules.owner_without_progress = false;
     }},
    {"TheTopicsEndsAreReadBehindTheRows",
     [](Rules& rules) {
         rules.start_before_rows = false;
     }},
    {"ARowThatWasThereBeforeWinsOverItsEvents",
     [](Rules& rules) {
         rules.backfill_is_oldest = false;
     }},
    {"ARepairWinsOverLaterChanges",
     [](Rules& rules) {
         rules.repair_is_before_later = false;
     }},
    {"ATruncationIsPassedOver",
     [](Rules& rules) {
         rules.truncation_renews = false;
     }},
    {"TwoWritersOfAGroupDoNotWaitForEachOther", [](Rules& rules) { rules.locks_buckets = false; },
     Broken::totals_disagree},
    {"TotalsCountWhateverComes", [](Rules& rules) { rules.counts_differences = false; }, Broken::totals_disagree},
};

void PrintTo(const Mutation& mutation, std::ostream* stream)
{
    *stream << mutation.name;
}

class HistoriesMutation : public testing::TestWithParam<Mutation> {};

TEST_P(HistoriesMutation, IsCaught)
{
    Rules rules;
    GetParam().breaks(rules);
    const Found found = search(rules, 4'000'000);
    EXPECT_EQ(found.broken, GetParam().found) << name(found.broken) << " instead of " << name(GetParam().found);
    fmt::print("{}: {} within {} steps\n{}", GetParam().name, name(found.broken), found.steps, found.difference);
}

INSTANTIATE_TEST_SUITE_P(EachRule, HistoriesMutation, testing::ValuesIn(kMutations),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

} // namespace
} // namespace keyshift::test
