// Logical messages of others: in the order of the WAL, counted before anything behind them is confirmed, sent once.
#include "tests/cdc/source/stream_fixture.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::test {
namespace {

constexpr const char* kItems = "CREATE TABLE public.items (id int PRIMARY KEY)";

class LogicalMessages : public StreamTest {
protected:
    void SetUp() override
    {
        set_up_captured(kItems, {"items"});
        start_after_snapshot();
    }

    Lsn emit(bool transactional, const std::string& prefix, const std::string& content)
    {
        return node()
            .query("SELECT pg_catalog.pg_logical_emit_message($1::boolean, $2, $3)",
                   {transactional ? "true" : "false", prefix, content})
            .lsn(0, 0);
    }
    std::vector<std::string> contents(std::size_t count)
    {
        std::vector<std::string> texts;
        for (const FakeEvent& event : kafka_.wait_events(count, "message", std::chrono::seconds(60))) {
            texts.push_back(event.after.at("content"));
        }
        return texts;
    }
};

TEST_F(LogicalMessages, AreInTheOrderOfTheWalAndOursAreNotAmongThem)
{
    emit(false, "loose", "first");
    node().script(
        "BEGIN; SELECT pg_logical_emit_message(true, 'bound', 'third'); SELECT pg_logical_emit_message(false, 'loose', 'second');"
        "INSERT INTO public.items VALUES (1); SELECT pg_logical_emit_message(true, 'bound', 'fourth'); COMMIT");
    emit(true, "keyshift", "{}");
    emit(false, "keyshift", "{}");
    emit(false, "loose", "fifth");
    EXPECT_EQ(contents(5), (std::vector<std::string>{"first", "second", "third", "fourth", "fifth"}));
    const auto events = kafka_.events("message");
    EXPECT_TRUE(std::ranges::is_sorted(events, {}, &FakeEvent::position));
    EXPECT_EQ(events[0].xid, 0U) << "it is of no transaction";
    EXPECT_NE(events[2].xid, 0U);
}

TEST_F(LogicalMessages, OneRightBeforeACommitDoesNotHideTheTransaction) // INV-CDC-1
{
    for (int id = 1; id <= 20; ++id) {
        // The message's LSN is that of the commit record behind it.
        node().script(fmt::format("BEGIN; INSERT INTO public.items VALUES ({}); SELECT pg_logical_emit_message(false, "
                                  "'loose', 'then the commit'); COMMIT",
                                  id));
    }
    EXPECT_EQ(contents(20).size(), 20U);
    EXPECT_EQ(kafka_.wait_events(20, "public.items", std::chrono::seconds(60)).size(), 20U);
}

TEST_F(LogicalMessages, OneOutsideOfTransactionsIsAcknowledgedBeforeTheSlotPassesIt) // INV-CDC-1
{
    kafka_.set_up(false);
    const Lsn message = emit(false, "loose", "held");
    ASSERT_EQ(contents(1).size(), 1U);
    node().script("INSERT INTO public.items VALUES (1)");
    ASSERT_EQ(kafka_.wait_events(1, "public.items", std::chrono::seconds(60)).size(), 1U);
    EXPECT_LT(confirmed(), message);
    kafka_.set_up(true);
    EXPECT_TRUE(wait_confirmed(Lsn{message.value + 1}, std::chrono::seconds(60)));
}

TEST_F(LogicalMessages, OneOutsideOfTransactionsIsNotSentAgainByTheSamePublisher)
{
    kafka_.set_up(false);
    emit(false, "loose", "once");
    ASSERT_EQ(contents(1).size(), 1U);
    node().query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1", {slot()});
    kafka_.set_up(true);
    emit(false, "loose", "and then");
    EXPECT_EQ(contents(2), (std::vector<std::string>{"once", "and then"}));
}

} // namespace
} // namespace keyshift::test
