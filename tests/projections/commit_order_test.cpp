#include "projections/reference/commit_order.hpp"

#include <gtest/gtest.h>

namespace keyshift::projections {
namespace {

OrderedEvent event(std::uint64_t commit, std::uint64_t seq, const std::string& key,
                   ReferenceEvent::Kind kind = ReferenceEvent::Kind::put)
{
    OrderedEvent ordered;
    ordered.event.kind = kind;
    ordered.event.position = {Epoch{1}, Lsn{commit}, seq};
    ordered.event.key = {key};
    ordered.partition = static_cast<std::int32_t>(commit % 3);
    ordered.offset = static_cast<std::int64_t>(100 * commit + seq);
    return ordered;
}

std::string keys(const std::vector<OrderedEvent>& events)
{
    std::string text;
    for (const OrderedEvent& one : events) {
        text += one.event.key.front();
    }
    return text;
}

TEST(CommitOrder, GivesWholeCommitsInTheirOrderHoweverTheyCame)
{
    CommitOrder order;
    order.add(event(30, 0, "e"), 10);
    order.add(event(10, 1, "b"), 10);
    order.add(event(20, 0, "c"), 10);
    order.add(event(10, 0, "a"), 10);
    order.add(event(20, 1, "d"), 10);
    EXPECT_EQ(keys(order.take_below(Lsn{30}, 1)), "ab") << "a commit is never cut in two";
    EXPECT_EQ(keys(order.take_below(Lsn{30}, 100)), "cd") << "30 itself is not promised yet";
    EXPECT_EQ(order.bytes(), 10U);
    EXPECT_EQ(keys(order.take_below(Lsn{31}, 100)), "e");
    EXPECT_TRUE(order.empty());
    EXPECT_EQ(order.bytes(), 0U);
}

TEST(CommitOrder, DropsWhatComesAgain)
{
    CommitOrder order;
    order.add(event(10, 0, "a"), 10);
    order.add(event(10, 0, "x"), 10);
    EXPECT_EQ(order.bytes(), 10U);
    EXPECT_EQ(keys(order.take_below(Lsn{11}, 100)), "a");
}

TEST(CommitOrder, JoinsTheHalvesOfAChangedKeyAndNothingElse)
{
    CommitOrder order;
    order.add(event(10, 0, "r", ReferenceEvent::Kind::remove), 1);
    order.add(event(10, 1, "p"), 1);
    order.add(event(10, 2, "new"), 1);
    order.add(event(10, 2, "old", ReferenceEvent::Kind::remove), 1);
    const auto events = order.take_below(Lsn{11}, 100);
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].event.kind, ReferenceEvent::Kind::remove);
    EXPECT_FALSE(events[1].event.moved_from);
    EXPECT_EQ(events[2].event.key, RowKey{"new"});
    EXPECT_EQ(events[2].event.moved_from, RowKey{"old"});
}

TEST(CommitOrder, KnowsTheFirstOffsetThatIsStillNeeded)
{
    CommitOrder order;
    order.add(event(11, 5, "a"), 1);
    order.add(event(14, 0, "b"), 1);
    EXPECT_EQ(order.first_offset(0, 2), 1105);
    EXPECT_EQ(order.first_offset(0, 0), std::nullopt);
    EXPECT_EQ(order.first_offset(1, 2), std::nullopt) << "another table's partition";
    static_cast<void>(order.take_below(Lsn{12}, 100));
    EXPECT_EQ(order.first_offset(0, 2), 1400);
}

} // namespace
} // namespace keyshift::projections
