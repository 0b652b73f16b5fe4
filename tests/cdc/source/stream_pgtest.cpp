#include "tests/cdc/source/stream_fixture.hpp"

#include "core/json.hpp"

#include <algorithm>

namespace keyshift::test {
namespace {

using cdc::ChangeKind;

constexpr const char* kItems = "CREATE TABLE public.items (id int PRIMARY KEY, name text, big text)";

TEST_F(StreamTest, EveryKindOfChangeOfACapturedTableArrivesInCommitOrder)
{
    set_up_captured(kItems, {"items"});
    start_after_snapshot();
    node().script("INSERT INTO public.items VALUES (1, 'a', NULL)");
    node().script("UPDATE public.items SET name = 'b' WHERE id = 1");
    node().script("UPDATE public.items SET id = 2 WHERE id = 1");
    node().script("DELETE FROM public.items WHERE id = 2");
    const auto events = kafka_.wait_events(4, "public.items");
    ASSERT_EQ(events.size(), 4U);
    EXPECT_EQ(events[0].kind, ChangeKind::insert);
    EXPECT_EQ(events[0].key, "1");
    EXPECT_EQ(events[0].after.at("big"), "NULL");
    EXPECT_EQ(events[1].kind, ChangeKind::update);
    EXPECT_EQ(events[1].after.at("name"), "b");
    EXPECT_FALSE(events[1].old_key);
    EXPECT_EQ(events[2].old_key, "1");
    EXPECT_EQ(events[2].key, "2");
    EXPECT_EQ(events[3].kind, ChangeKind::remove);
    EXPECT_EQ(events[3].key, "2");
    for (std::size_t i = 0; i < events.size(); ++i) {
        EXPECT_EQ(events[i].origin, "n1/0");
        EXPECT_EQ(events[i].position.epoch, Epoch{1});
        EXPECT_TRUE(i == 0 || events[i - 1].position < events[i].position);
    }
}

TEST_F(StreamTest, UnchangedToastIsNotGuessed)
{
    set_up_captured(kItems, {"items"});
    start_after_snapshot();
    node().script("ALTER TABLE public.items ALTER big SET STORAGE EXTERNAL");
    node().script("INSERT INTO public.items VALUES (1, 'a', repeat('x', 100000))");
    node().script("UPDATE public.items SET name = 'b'");
    const auto events = kafka_.wait_events(2, "public.items");
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].after.at("big").size(), 100'000U);
    EXPECT_FALSE(events[1].after.contains("big"));
}

TEST_F(StreamTest, LeavesOfADistributedTableAreItsBucketsUnderOneName)
{
    set_up_distributed(kItems, "items", "id");
    start_after_snapshot();
    node().script("INSERT INTO public.items SELECT i, 'n' || i FROM generate_series(1, 50) i");
    const auto events = kafka_.wait_events(50, "public.items");
    ASSERT_EQ(events.size(), 50U);
    for (const FakeEvent& event : events) {
        const auto bucket = node().query("SELECT keyshift.bucket_of('public.items', $1)", {event.key}).integer(0, 0);
        EXPECT_EQ(event.origin, "n1/" + std::to_string(bucket));
        EXPECT_EQ(event.position.epoch, Epoch{1});
    }
    EXPECT_TRUE(std::ranges::is_sorted(events, {}, &FakeEvent::position));
}

TEST_F(StreamTest, ATruncateIsAnEventAndAControlRecord)
{
    set_up_captured(kItems, {"items"});
    start_after_snapshot();
    node().script("INSERT INTO public.items VALUES (1, 'a', NULL); TRUNCATE public.items");
    const auto events = kafka_.wait_events(2, "public.items");
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[1].kind, ChangeKind::truncate);
    EXPECT_LT(events[0].position, events[1].position);
    const auto controls = kafka_.controls(); // of the snapshot, too
    EXPECT_EQ(
        std::ranges::count_if(
            controls, [](const auto& record) { return record.find(R"("type":"truncate")") != std::string::npos; }),
        1);
}

TEST_F(StreamTest, ATableCapturedWhileTheStreamRunsIsInItFromThenOn)
{
    set_up_captured(kItems, {"items"});
    ASSERT_TRUE(start().wait_state("streaming"));
    node().script("CREATE TABLE public.later (id bigint PRIMARY KEY)");
    catalog::capture(cluster_.catalog(), {"later"}, false, {}, false);
    node().script("INSERT INTO public.later VALUES (7)");
    const auto events = kafka_.wait_events(1, "public.later");
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events[0].key, "7"); // and again where the snapshot came later
}

TEST_F(StreamTest, AnAddedColumnIsInTheEventsAfterIt)
{
    set_up_captured(kItems, {"items"});
    start_after_snapshot();
    node().script("INSERT INTO public.items VALUES (1, 'a', NULL)");
    node().script("ALTER TABLE public.items ADD extra int DEFAULT 5");
    node().script("INSERT INTO public.items VALUES (2, 'b', NULL, 6)");
    const auto events = kafka_.wait_events(2, "public.items");
    ASSERT_EQ(events.size(), 2U);
    EXPECT_FALSE(events[0].after.contains("extra"));
    EXPECT_EQ(events[1].after.at("extra"), "6");
}

TEST_F(StreamTest, TheSlotIsConfirmedOnlyOverWhatKafkaAcknowledged)
{
    set_up_captured(kItems, {"items"});
    start_after_snapshot();
    node().script("INSERT INTO public.items VALUES (1, 'a', NULL)");
    ASSERT_TRUE(wait_confirmed(current()));
    kafka_.set_up(false);
    const Lsn before = current();
    node().script("INSERT INTO public.items VALUES (2, 'a', NULL)");
    const Lsn after = current();
    ASSERT_EQ(kafka_.wait_events(2, "public.items").size(), 2U);
    EXPECT_TRUE(running_->wait_state("waiting"));
    EXPECT_LE(confirmed(), after);
    EXPECT_LT(confirmed(), after);
    EXPECT_FALSE(running_->stream().healthy());
    EXPECT_FALSE(running_->stream().wait_acknowledged(after, std::chrono::milliseconds(50)));
    kafka_.set_up(true);
    EXPECT_TRUE(wait_confirmed(after));
    EXPECT_TRUE(running_->stream().wait_acknowledged(after, std::chrono::seconds(5)));
    EXPECT_LE(before, after);
}

TEST_F(StreamTest, ARestartLosesNothingAndSendsNothingTwiceAfterACleanStop)
{
    set_up_captured(kItems, {"items"});
    start_after_snapshot();
    node().script("INSERT INTO public.items SELECT i FROM generate_series(1, 100) i");
    ASSERT_EQ(kafka_.wait_events(100).size(), 100U);
    stop();
    node().script("INSERT INTO public.items SELECT i FROM generate_series(101, 200) i");
    start();
    ASSERT_EQ(kafka_.wait_events(200).size(), 200U);
    ASSERT_TRUE(wait_confirmed(current()));
    EXPECT_EQ(kafka_.events().size(), 200U);
}

TEST_F(StreamTest, ADeadProducerIsReplacedAndWhatItHeldIsSentAgainInOrder)
{
    set_up_captured(kItems, {"items"});
    start_after_snapshot();
    kafka_.set_up(false);
    node().script("INSERT INTO public.items SELECT i FROM generate_series(1, 10) i");
    ASSERT_EQ(kafka_.wait_events(10).size(), 10U);
    kafka_.kill_publishers();
    kafka_.set_up(true);
    const auto events = kafka_.wait_events(20);
    ASSERT_EQ(events.size(), 20U);
    for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(events[i].position, events[i + 10].position);
    }
    EXPECT_TRUE(wait_confirmed(current()));
}

TEST_F(StreamTest, AnIdleNodeAdvancesItsSlot)
{
    set_up_captured(kItems, {"items"});
    ASSERT_TRUE(start().wait_state("streaming"));
    // WAL that is nobody's event.
    node().script("CREATE TABLE public.other AS SELECT i FROM generate_series(1, 1000) i");
    EXPECT_TRUE(wait_confirmed(current()));
    EXPECT_TRUE(eventually([&] { return kafka_.heartbeats() > 2; }));
    EXPECT_TRUE(kafka_.events().empty());
}

TEST_F(StreamTest, ADroppedSlotStopsTheStreamLoudlyAndNamesTheGap)
{
    set_up_captured(kItems, {"items"});
    start();
    node().script("INSERT INTO public.items VALUES (1, 'a', NULL)");
    ASSERT_TRUE(wait_confirmed(current()));
    stop();
    const Lsn progress = kafka_.progress("n1").value();
    // The server's side of a closed connection takes a moment to end.
    ASSERT_TRUE(eventually([&] {
        return one(node(),
                   "SELECT NOT active FROM pg_catalog.pg_replication_slots WHERE slot_name = '" + slot() + "'") == "t";
    }));
    node().query("SELECT pg_catalog.pg_drop_replication_slot($1)", {slot()});
    const auto error = start().fatal_error();
    ASSERT_TRUE(error);
    EXPECT_NE(error->why.find(progress.to_string()), std::string::npos) << error->why;
    EXPECT_NE(error->next.find("keyshift cdc recover n1"), std::string::npos);
    EXPECT_EQ(running_->stream().status().state, "stopped");
    EXPECT_EQ(one(cluster_.catalog(), "SELECT state FROM keyshift.stream_status WHERE node = 'n1'"), "stopped");
}

TEST_F(StreamTest, ARecreatedSlotIsAGapAndNotSkipped)
{
    set_up_captured(kItems, {"items"});
    start();
    node().script("INSERT INTO public.items VALUES (1, 'a', NULL)");
    ASSERT_TRUE(wait_confirmed(current()));
    stop();
    ASSERT_TRUE(eventually([&] {
        return one(node(),
                   "SELECT NOT active FROM pg_catalog.pg_replication_slots WHERE slot_name = '" + slot() + "'") == "t";
    }));
    node().query("SELECT pg_catalog.pg_drop_replication_slot($1)", {slot()});
    node().script("INSERT INTO public.items VALUES (2, 'lost', NULL)");
    node().query("SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')", {slot()});
    const auto error = start().fatal_error();
    ASSERT_TRUE(error);
    EXPECT_NE(error->why.find("recreated"), std::string::npos) << error->why;
}

/// The server may take the last confirmation of a stream only after the next stream has read the slot. What that stream then
/// records must not be older than what is recorded already: the stream after it would find its slot beyond it.
TEST_F(StreamTest, ASlotThatLagsBehindTheRecordsTakesNoRecordBack) // INV-CDC-1
{
    set_up_captured(kItems, {"items"});
    const std::string lagging = slot() + "_lagging";
    node().query("SELECT pg_catalog.pg_copy_logical_replication_slot($1, $2)", {slot(), lagging});
    start();
    // More messages than the stream handles between two looks at confirmations.
    node().script(
        "DO $$ BEGIN FOR i IN 1..3000 LOOP INSERT INTO public.items VALUES (i, 'a', NULL); COMMIT; END LOOP; END $$");
    ASSERT_TRUE(wait_confirmed(current()));
    stop();
    node().query("SELECT pg_catalog.pg_drop_replication_slot($1)", {slot()});
    node().query("SELECT pg_catalog.pg_copy_logical_replication_slot($1, $2)", {lagging, slot()});
    node().query("SELECT pg_catalog.pg_drop_replication_slot($1)", {lagging});
    start();
    node().script("INSERT INTO public.items VALUES (0, 'b', NULL)");
    ASSERT_TRUE(wait_confirmed(current()));
    EXPECT_FALSE(kafka_.progress_went_back());
}

TEST_F(StreamTest, ValuesComeInTheSameFormWhateverTheServersDefaults)
{
    set_up_captured("CREATE TABLE public.values (id int PRIMARY KEY, at timestamptz, on_day date, bytes bytea)",
                    {"values"});
    node().script("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = ''German''', current_database()); "
                  "EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''', current_database()); "
                  "EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', current_database()); END $$");
    start_after_snapshot();
    node().script("INSERT INTO public.values VALUES (1, '2024-05-06 07:08:09.5+00', '2024-05-06', '\\x00ff')");
    const auto events = kafka_.wait_events(1);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].after.at("at"), "2024-05-06 07:08:09.5+00");
    EXPECT_EQ(events[0].after.at("on_day"), "2024-05-06");
    EXPECT_EQ(events[0].after.at("bytes"), "\\x00ff");
}

TEST_F(StreamTest, TheCatalogRowShowsTheStream)
{
    set_up_captured(kItems, {"items"});
    start();
    node().script("INSERT INTO public.items VALUES (1, 'a', NULL)");
    const std::string position = current().to_string();
    EXPECT_TRUE(eventually([&] {
        return cluster_.catalog()
                   .query(
                       "SELECT count(*) FROM keyshift.stream_status WHERE node = 'n1' AND state = 'streaming' AND confirmed_lsn >= $1::pg_lsn "
                       "AND wal_status = 'reserved'",
                       {position})
                   .integer(0, 0) == 1;
    }));
}

} // namespace
} // namespace keyshift::test
