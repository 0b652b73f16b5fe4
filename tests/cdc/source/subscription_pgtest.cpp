#include "tests/cdc/source/stream_fixture.hpp"

#include <fmt/core.h>

#include <set>

namespace keyshift::test {
namespace {

using cdc::BarrierSeen;
using cdc::OwnedTransaction;
using cdc::SubscriptionItem;

constexpr const char* kItems = "CREATE TABLE public.items (id int PRIMARY KEY, name text)";

class SubscriptionTest : public StreamTest {
protected:
    SubscriptionTest() { set_up_distributed(kItems, "items", "id"); }

    std::unique_ptr<cdc::Subscription> subscribe(std::uint32_t bucket, std::optional<Lsn> from = {})
    {
        return running_->stream().subscribe(kMove, "items", static_cast<BucketId>(bucket), from);
    }
    void barrier(const std::string& id)
    {
        node().query("SELECT pg_catalog.pg_logical_emit_message(true, 'keyshift', $1)",
                     {R"({"type":"barrier","move":)" + std::to_string(kMove) + R"(,"id":")" + id + R"("})"});
    }
    /// Ids of all rows of the bucket that came before the barrier.
    static std::set<std::string> ids_until(cdc::Subscription& subscription, const std::string& id)
    {
        std::set<std::string> ids;
        for (int tries = 0; tries < 100; ++tries) {
            const std::optional<SubscriptionItem> item = subscription.next(std::chrono::milliseconds(200), {});
            if (!item) {
                continue;
            }
            if (const auto* barrier = std::get_if<BarrierSeen>(&*item)) {
                if (barrier->id == id) {
                    return ids;
                }
                continue;
            }
            const auto& transaction = std::get<OwnedTransaction>(*item);
            EXPECT_FALSE(transaction.changes.empty());
            for (const cdc::OwnedChange& change : transaction.changes) {
                ids.insert(change.after->at(0).text);
            }
        }
        ADD_FAILURE() << "the barrier did not come";
        return ids;
    }
    std::set<std::string> ids_of_bucket(int bucket, int from)
    {
        const auto rows = node().query(
            "SELECT id FROM public.items WHERE keyshift.bucket_of('public.items', id::text) = $1 AND id >= $2",
            {std::to_string(bucket), std::to_string(from)});
        std::set<std::string> ids;
        for (int row = 0; row < rows.rows(); ++row) {
            ids.emplace(rows.text(row, 0));
        }
        return ids;
    }

    static constexpr std::int64_t kMove = 7;
};

TEST_F(SubscriptionTest, GetsExactlyTheTransactionsOfItsBucketFromNowOnAndTheBarrier)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    node().script("INSERT INTO public.items SELECT i FROM generate_series(1, 100) i");
    ASSERT_EQ(kafka_.wait_events(100).size(), 100U);
    const auto subscription = subscribe(2);
    node().script("INSERT INTO public.items SELECT i FROM generate_series(101, 300) i");
    barrier("b1");
    const auto expected = ids_of_bucket(2, 101);
    ASSERT_FALSE(expected.empty());
    EXPECT_EQ(ids_until(*subscription, "b1"), expected);
}

TEST_F(SubscriptionTest, TheSlotIsHeldAtWhatTheSubscriberConfirmed)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    auto subscription = subscribe(1);
    const Lsn begin = subscription->begin();
    node().script("INSERT INTO public.items SELECT i FROM generate_series(1, 100) i");
    const Lsn end = current();
    ASSERT_TRUE(running_->stream().wait_acknowledged(end, std::chrono::seconds(10)));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_LE(confirmed(), begin);
    subscription->confirm(end);
    EXPECT_TRUE(wait_confirmed(end));
    const Lsn held = confirmed();
    node().script("INSERT INTO public.items SELECT i FROM generate_series(101, 200) i");
    const Lsn later = current();
    ASSERT_TRUE(running_->stream().wait_acknowledged(later, std::chrono::seconds(10)));
    EXPECT_LE(confirmed(), std::max(held, end));
    subscription.reset();
    EXPECT_TRUE(wait_confirmed(later));
}

TEST_F(SubscriptionTest, OneThatContinuesGetsEverythingSinceItsPositionWhileKafkaGetsNothingTwice)
{
    start_after_snapshot();
    auto first = subscribe(3);
    const Lsn position = first->begin();
    node().script("INSERT INTO public.items SELECT i FROM generate_series(1, 200) i");
    barrier("b1");
    const auto expected = ids_of_bucket(3, 1);
    EXPECT_EQ(ids_until(*first, "b1"), expected);
    // The catalog has no row of this move here that would hold the slot in between.
    const auto second = subscribe(3, position);
    first.reset();
    EXPECT_EQ(second->begin(), position);
    EXPECT_EQ(ids_until(*second, "b1"), expected);
    barrier("b2");
    EXPECT_TRUE(ids_until(*second, "b2").empty());
    EXPECT_EQ(kafka_.events().size(), 200U);
}

TEST_F(SubscriptionTest, AnUnfinishedMoveHoldsTheSlotBeforeItsMoverIsBack)
{
    start();
    ASSERT_TRUE(running_->wait_state("streaming"));
    node().script("INSERT INTO public.items SELECT i FROM generate_series(1, 10) i");
    ASSERT_TRUE(wait_confirmed(current()));
    stop();
    const Lsn position = current();
    cluster_.catalog().script("INSERT INTO keyshift.job DEFAULT VALUES");
    cluster_.catalog().query(
        "INSERT INTO keyshift.move (job, group_name, bucket, donor, recipient, state, epoch, token, position) "
        "SELECT max(id), 'items', 1, 'n1', 'n2', 'catching_up', 2, 't', $1::pg_lsn FROM keyshift.job",
        {position.to_string()});
    node().script("INSERT INTO public.items SELECT i FROM generate_series(11, 20) i");
    ASSERT_TRUE(start().wait_state("streaming"));
    ASSERT_TRUE(running_->stream().wait_acknowledged(current(), std::chrono::seconds(10)));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_LE(confirmed(), position);
    cluster_.catalog().script("UPDATE keyshift.move SET state = 'aborted'");
    EXPECT_TRUE(wait_confirmed(current()));
}

TEST_F(SubscriptionTest, WhileBucketsMoveAnywhereTransactionsAtTheBrokerAreFewer)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    cluster_.catalog().script("INSERT INTO keyshift.job DEFAULT VALUES");
    cluster_.catalog().query(
        "INSERT INTO keyshift.move (job, group_name, bucket, donor, recipient, state, epoch, token) "
        "SELECT max(id), 'items', 1, 'n2', 'n3', 'planned', 2, 't' FROM keyshift.job");
    EXPECT_TRUE(kafka_.wait_long_transactions(true));
    cluster_.catalog().script("UPDATE keyshift.job SET wanted = 'pause'");
    EXPECT_TRUE(kafka_.wait_long_transactions(false));
    cluster_.catalog().script("UPDATE keyshift.job SET wanted = 'run'");
    EXPECT_TRUE(kafka_.wait_long_transactions(true));
    cluster_.catalog().script("UPDATE keyshift.move SET state = 'settling'");
    EXPECT_TRUE(kafka_.wait_long_transactions(false));
}

TEST_F(SubscriptionTest, OneThatTheSlotHasGoneBeyondIsRefused)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    const Lsn old = current();
    node().script("INSERT INTO public.items VALUES (1)");
    ASSERT_TRUE(wait_confirmed(current()));
    EXPECT_THROW(subscribe(1, Lsn{old.value - 1}), FatalError);
}

TEST_F(SubscriptionTest, WhatDoesNotFitInMemoryWaitsInAFileInOrder)
{
    options_.max_transaction_memory = 4'096;
    ASSERT_TRUE(start().wait_state("streaming"));
    const auto subscription = subscribe(0);
    node().script("INSERT INTO public.items SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i");
    barrier("b1");
    EXPECT_EQ(ids_until(*subscription, "b1"), ids_of_bucket(0, 1));
}

TEST_F(SubscriptionTest, SurvivesAReconnectionOfTheStreamWithoutLossOrRepetition)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    const auto subscription = subscribe(1);
    for (int i = 0; i < 5; ++i) {
        node().query("INSERT INTO public.items SELECT n FROM generate_series($1::int, $1::int + 99) n",
                     {std::to_string(i * 100)});
        node().query(
            "SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active",
            {slot()});
    }
    barrier("b1");
    EXPECT_EQ(ids_until(*subscription, "b1"), ids_of_bucket(1, 0));
}

TEST_F(SubscriptionTest, KnowsWhetherASnapshotShowsWhatWasDeliveredBeforeIt)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    node().script("INSERT INTO public.items VALUES (1)");
    const auto events = kafka_.wait_events(1);
    ASSERT_EQ(events.size(), 1U);
    ASSERT_TRUE(wait_confirmed(current()));
    const auto subscription = subscribe(1);
    const std::uint64_t xid = events[0].xid;
    const auto shows = [&](const std::string& snapshot) {
        return subscription->rest_is_in(SnapshotFilter(snapshot));
    };
    EXPECT_TRUE(shows(std::string(node().query("SELECT pg_current_snapshot()::text").text(0, 0))));
    EXPECT_FALSE(shows(fmt::format("{}:{}:{}", xid, xid + 10, xid))) << "in progress";
    EXPECT_FALSE(shows(fmt::format("{0}:{0}:", xid))) << "newer than all that had ended: it is not listed";
}

TEST_F(SubscriptionTest, EndsWithATransientErrorWhenTheStreamStops)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    const auto subscription = subscribe(1);
    running_->stop();
    EXPECT_THROW(subscription->next(std::chrono::seconds(1), {}), TransientError);
}

} // namespace
} // namespace keyshift::test
