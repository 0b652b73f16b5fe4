#include "cdc/publish/ack_tracker.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace keyshift::cdc {
namespace {

using namespace std::chrono_literals;

TEST(AckTracker, NothingHandedOverMeansAcknowledgedAtOnce)
{
    AckTracker tracker;
    EXPECT_EQ(tracker.acknowledged(), Lsn{0});
    tracker.reached(Lsn{100});
    EXPECT_EQ(tracker.acknowledged(), Lsn{100});
    tracker.reached(Lsn{50});
    EXPECT_EQ(tracker.acknowledged(), Lsn{100}) << "never backwards";
}

TEST(AckTracker, ARecordThatWasNeverProducedHoldsNothingBack)
{
    AckTracker tracker;
    const auto produced = tracker.hand_over(10);
    tracker.withdraw(tracker.hand_over(20));
    EXPECT_EQ(tracker.pending_bytes(), 10U);
    tracker.acknowledge(produced);
    const auto again = tracker.hand_over(20);
    tracker.reached(Lsn{100});
    EXPECT_EQ(tracker.acknowledged(), Lsn{0});
    tracker.acknowledge(again);
    EXPECT_EQ(tracker.acknowledged(), Lsn{100});
}

TEST(AckTracker, ALaterAcknowledgementDoesNotPassAnEarlierPendingRecord) // INV-CDC-1
{
    AckTracker tracker;
    const auto first = tracker.hand_over(10);
    tracker.reached(Lsn{100});
    const auto second = tracker.hand_over(20);
    tracker.reached(Lsn{200});
    EXPECT_EQ(tracker.pending_bytes(), 30U);
    tracker.acknowledge(second);
    EXPECT_EQ(tracker.acknowledged(), Lsn{0});
    EXPECT_EQ(tracker.first_pending(), first);
    EXPECT_EQ(tracker.pending_bytes(), 10U);
    tracker.acknowledge(first);
    EXPECT_EQ(tracker.acknowledged(), Lsn{200});
    EXPECT_EQ(tracker.first_pending(), tracker.next_token());
    EXPECT_EQ(tracker.pending_bytes(), 0U);
}

TEST(AckTracker, AnOpenTransactionIsNotAcknowledgedByItsRecordsAlone) // INV-CDC-1
{
    AckTracker tracker;
    tracker.reached(Lsn{100});
    tracker.acknowledge(tracker.hand_over(1));
    EXPECT_EQ(tracker.acknowledged(), Lsn{100});
    tracker.reached(Lsn{200});
    EXPECT_EQ(tracker.acknowledged(), Lsn{200});
}

TEST(AckTracker, WaitingEndsWithTheAcknowledgementOrTheTimeout)
{
    AckTracker tracker;
    const auto token = tracker.hand_over(1);
    tracker.reached(Lsn{100});
    EXPECT_FALSE(tracker.wait(Lsn{100}, 1ms));
    const std::jthread other([&] { tracker.acknowledge(token); });
    EXPECT_TRUE(tracker.wait(Lsn{100}, 10s));
}

/// The same, counted in the plainest way.
struct Model {
    std::vector<bool> records; ///< acknowledged
    std::vector<std::pair<std::size_t, Lsn>> boundaries;

    Lsn acknowledged() const
    {
        const auto first = static_cast<std::size_t>(std::ranges::find(records, false) - records.begin());
        Lsn most;
        for (const auto& [count, lsn] : boundaries) {
            most = count <= first ? std::max(most, lsn) : most;
        }
        return most;
    }
};

RC_GTEST_PROP(AckTrackerProperty, AcknowledgedNeverPassesTheOldestPendingRecord, ()) // INV-CDC-1
{
    AckTracker tracker;
    Model model;
    for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 1000))) {
        if (step % 3 == 0) {
            RC_ASSERT(tracker.hand_over(static_cast<std::size_t>(step)) == model.records.size());
            model.records.push_back(false);
        } else if (step % 3 == 1) {
            const Lsn lsn{static_cast<std::uint64_t>(step)};
            tracker.reached(lsn);
            model.boundaries.emplace_back(model.records.size(), lsn);
        } else if (!model.records.empty()) {
            // Also tokens that are acknowledged already.
            const std::size_t token = static_cast<std::size_t>(step) % model.records.size();
            tracker.acknowledge(token);
            model.records[token] = true;
        }
        RC_ASSERT(tracker.acknowledged() == model.acknowledged());
    }
}

} // namespace
} // namespace keyshift::cdc
