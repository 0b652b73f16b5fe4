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

TEST(AckTracker, AnAcknowledgementDoesNotPassALaterRecord) // INV-CDC-1
{
    AckTracker tracker;
    tracker.hand_over();
    tracker.reached(Lsn{100});
    tracker.hand_over();
    tracker.reached(Lsn{200});
    EXPECT_EQ(tracker.first_pending(), 0U);
    tracker.acknowledge_below(1);
    EXPECT_EQ(tracker.acknowledged(), Lsn{100});
    EXPECT_EQ(tracker.first_pending(), 1U);
    tracker.acknowledge_below(2);
    EXPECT_EQ(tracker.acknowledged(), Lsn{200});
    EXPECT_EQ(tracker.first_pending(), tracker.next_token());
}

TEST(AckTracker, ARecordMayBeAcknowledgedBeforeItsHandOverIsNoted)
{
    AckTracker tracker;
    tracker.acknowledge_below(1);
    tracker.hand_over();
    tracker.reached(Lsn{100});
    EXPECT_EQ(tracker.acknowledged(), Lsn{100});
}

TEST(AckTracker, AnOpenTransactionIsNotAcknowledgedByItsRecordsAlone) // INV-CDC-1
{
    AckTracker tracker;
    tracker.reached(Lsn{100});
    tracker.hand_over();
    tracker.acknowledge_below(1);
    EXPECT_EQ(tracker.acknowledged(), Lsn{100});
    tracker.reached(Lsn{200});
    EXPECT_EQ(tracker.acknowledged(), Lsn{200});
}

TEST(AckTracker, WaitingEndsWithTheAcknowledgementOrTheTimeout)
{
    AckTracker tracker;
    tracker.hand_over();
    tracker.reached(Lsn{100});
    EXPECT_FALSE(tracker.wait(Lsn{100}, 1ms));
    const std::jthread other([&] { tracker.acknowledge_below(1); });
    EXPECT_TRUE(tracker.wait(Lsn{100}, 10s));
}

/// The same, counted in the plainest way.
struct Model {
    std::size_t records = 0;
    std::size_t first = 0; ///< not acknowledged
    std::vector<std::pair<std::size_t, Lsn>> boundaries;

    Lsn acknowledged() const
    {
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
            RC_ASSERT(tracker.next_token() == model.records);
            tracker.hand_over();
            ++model.records;
        } else if (step % 3 == 1) {
            const Lsn lsn{static_cast<std::uint64_t>(step)};
            tracker.reached(lsn);
            model.boundaries.emplace_back(model.records, lsn);
        } else {
            // Also tokens that are acknowledged already.
            const std::size_t token = static_cast<std::size_t>(step) % (model.records + 1);
            tracker.acknowledge_below(token);
            model.first = std::max(model.first, token);
        }
        RC_ASSERT(tracker.acknowledged() == model.acknowledged());
        RC_ASSERT(tracker.first_pending() == model.first);
    }
}

} // namespace
} // namespace keyshift::cdc
