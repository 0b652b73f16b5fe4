// WAL that is read late is read with the schema it was written with, whatever became of the table since.
#include "tests/cdc/source/stream_fixture.hpp"

#include <algorithm>

namespace keyshift::test {
namespace {

class OldWalTest : public StreamTest {
protected:
    /// Captured, its empty snapshot read, one row streamed (id 1); then the stream is stopped.
    void set_up_stopped(const std::string& sql, const std::string& first_row)
    {
        set_up_captured(sql, {"items"});
        start_after_snapshot();
        node().script(first_row);
        ASSERT_EQ(kafka_.wait_events(1).size(), 1U);
        ASSERT_TRUE(wait_confirmed(current()));
        stop();
    }
    std::vector<FakeEvent> after_start(std::size_t count)
    {
        start();
        auto events = kafka_.wait_events(count);
        EXPECT_EQ(events.size(), count);
        events.resize(count);
        return events;
    }
};

TEST_F(OldWalTest, ARenamedKeyColumnHasItsOldNameBefore)
{
    set_up_stopped("CREATE TABLE public.items (id int PRIMARY KEY, name text NOT NULL)",
                   "INSERT INTO public.items VALUES (1, 'a')");
    node().script("INSERT INTO public.items VALUES (2, 'b')");
    node().script("ALTER TABLE public.items RENAME id TO number; ALTER TABLE public.items RENAME name TO title");
    node().script("INSERT INTO public.items VALUES (3, 'c')");
    const auto events = after_start(3);
    EXPECT_EQ(events[1].key, "2");
    EXPECT_EQ(events[1].types.at("id"), "int4!");
    EXPECT_EQ(events[1].types.at("name"), "text!");
    EXPECT_EQ(events[2].key, "3");
    EXPECT_EQ(events[2].types.at("number"), "int4!");
    EXPECT_EQ(events[2].types.at("title"), "text!");
}

TEST_F(OldWalTest, TheKeyIsThatOfTheTime)
{
    set_up_stopped("CREATE TABLE public.items (id int PRIMARY KEY, code int NOT NULL)",
                   "INSERT INTO public.items VALUES (1, 10)");
    node().script("INSERT INTO public.items VALUES (2, 20)");
    node().script("ALTER TABLE public.items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (code, id)");
    node().script("INSERT INTO public.items VALUES (3, 30)");
    node().script("ALTER TABLE public.items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (code)");
    node().script("INSERT INTO public.items VALUES (4, 40)");
    const auto events = after_start(4);
    EXPECT_EQ(events[1].key, "2");
    // Both columns, as the WAL marks them; their order was never seen.
    EXPECT_EQ(events[2].key, "3|30");
    EXPECT_EQ(events[3].key, "40");
}

TEST_F(OldWalTest, TheKeyIsThatOfTheTimeWithFullIdentityToo)
{
    set_up_stopped(
        "CREATE TABLE public.items (id int PRIMARY KEY, code int NOT NULL); ALTER TABLE public.items REPLICA IDENTITY FULL",
        "INSERT INTO public.items VALUES (1, 10)");
    node().script("INSERT INTO public.items VALUES (2, 20)");
    node().script("UPDATE public.items SET code = 21 WHERE id = 2");
    node().script("ALTER TABLE public.items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (code)");
    node().script("INSERT INTO public.items VALUES (3, 30)");
    const auto events = after_start(4);
    EXPECT_EQ(events[1].key, "2");
    EXPECT_EQ(events[2].key, "2");
    EXPECT_EQ(events[3].key, "30");
}

TEST_F(OldWalTest, NullabilityIsThatOfTheTime)
{
    set_up_stopped("CREATE TABLE public.items (id int PRIMARY KEY, name text)",
                   "INSERT INTO public.items VALUES (1, 'a')");
    node().script("INSERT INTO public.items VALUES (2, 'b')");
    node().script("ALTER TABLE public.items ALTER name SET NOT NULL");
    node().script("INSERT INTO public.items VALUES (3, 'c')");
    const auto events = after_start(3);
    EXPECT_EQ(events[1].types.at("name"), "text");
    EXPECT_EQ(events[2].types.at("name"), "text!");
}

TEST_F(OldWalTest, AKeyThatWasDroppedHoldsForTheRowsBefore)
{
    set_up_stopped(
        "CREATE TABLE public.items (id int PRIMARY KEY, name text); ALTER TABLE public.items REPLICA IDENTITY FULL",
        "INSERT INTO public.items VALUES (1, 'a')");
    node().script("INSERT INTO public.items VALUES (2, 'b')");
    node().script("ALTER TABLE public.items DROP CONSTRAINT items_pkey");
    node().script("INSERT INTO public.items VALUES (3, 'c')");
    auto events = after_start(3);
    EXPECT_EQ(events[1].key, "2");
    EXPECT_EQ(events[2].key, "");
    node().script("INSERT INTO public.items VALUES (4, 'd')");
    events = kafka_.wait_events(4);
    ASSERT_EQ(events.size(), 4U);
    EXPECT_EQ(events[3].key, "");
}

TEST_F(OldWalTest, AKeyThatCannotBeKnownStopsTheStreamUntilItIsNamed)
{
    set_up_stopped(
        "CREATE TABLE public.items (id int PRIMARY KEY, code int NOT NULL); ALTER TABLE public.items REPLICA "
        "IDENTITY FULL",
        "INSERT INTO public.items VALUES (1, 10)");
    node().script("ALTER TABLE public.items DROP id, ADD first int, ADD PRIMARY KEY (code)");
    node().script("INSERT INTO public.items VALUES (20, 2)");
    node().script("ALTER TABLE public.items DROP code, ADD last serial PRIMARY KEY");
    node().script("INSERT INTO public.items VALUES (3, 30)");
    const auto error = start().fatal_error();
    ASSERT_TRUE(error);
    EXPECT_NE(error->why.find("its key was changed more than once"), std::string::npos) << error->why;
    EXPECT_NE(error->next.find("table capture public.items --key"), std::string::npos) << error->next;
}

TEST_F(OldWalTest, ADroppedColumnAndItsDroppedTypeAreKnown)
{
    set_up_stopped(
        "CREATE TYPE public.mood AS ENUM ('sad', 'ok'); CREATE TABLE public.items (id int PRIMARY KEY, m public.mood)",
        "INSERT INTO public.items VALUES (1, 'ok')");
    node().script("INSERT INTO public.items VALUES (2, 'sad')");
    node().script("ALTER TABLE public.items DROP m; DROP TYPE public.mood");
    node().script("INSERT INTO public.items VALUES (3)");
    const auto events = after_start(3);
    EXPECT_EQ(events[1].types.at("m"), "mood(sad,ok)");
    EXPECT_EQ(events[1].after.at("m"), "sad");
    EXPECT_FALSE(events[2].types.contains("m"));
}

TEST_F(OldWalTest, ATypeThatChangedTwiceIsStillReadAsAnnounced)
{
    set_up_stopped("CREATE TABLE public.items (id int PRIMARY KEY, v int)", "INSERT INTO public.items VALUES (1, 1)");
    node().script("ALTER TABLE public.items ALTER v TYPE bigint");
    node().script("INSERT INTO public.items VALUES (2, 2)");
    node().script("ALTER TABLE public.items ALTER v TYPE text");
    node().script("INSERT INTO public.items VALUES (3, 'c')");
    const auto events = after_start(3);
    EXPECT_EQ(events[1].types.at("v"), "int8");
    EXPECT_EQ(events[1].key, "2");
    EXPECT_EQ(events[2].types.at("v"), "text");
}

TEST_F(OldWalTest, ARenamedTableGoesOnUnderItsNewName)
{
    set_up_stopped("CREATE TABLE public.items (id int PRIMARY KEY)", "INSERT INTO public.items VALUES (1)");
    node().script("INSERT INTO public.items VALUES (2)");
    node().script("ALTER TABLE public.items RENAME TO goods");
    node().script("INSERT INTO public.goods VALUES (3)");
    auto events = after_start(3);
    EXPECT_EQ(events[1].table, "public.items");
    EXPECT_EQ(events[2].table, "public.goods");
    EXPECT_TRUE(eventually(
        [&] { return one(cluster_.catalog(), "SELECT table_name FROM keyshift.captured_table") == "goods"; }));
    node().script("INSERT INTO public.goods VALUES (4)");
    events = kafka_.wait_events(4);
    ASSERT_EQ(events.size(), 4U);
    EXPECT_EQ(events[3].table, "public.goods");
}

TEST_F(OldWalTest, ATableIsFollowedAndNotItsName)
{
    set_up_stopped("CREATE TABLE public.items (id int PRIMARY KEY); CREATE TABLE public.next (id int PRIMARY KEY)",
                   "INSERT INTO public.items VALUES (1)");
    node().script("ALTER TABLE public.items RENAME TO former; ALTER TABLE public.next RENAME TO items");
    node().script("INSERT INTO public.items VALUES (100)");
    node().script("INSERT INTO public.former VALUES (2)");
    const auto events = after_start(2);
    EXPECT_EQ(events[1].table, "public.former");
    EXPECT_EQ(events[1].key, "2");
}

TEST_F(OldWalTest, PartitionsThatCameAndWentBelongToTheirTable)
{
    set_up_stopped("CREATE TABLE public.items (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);"
                   "CREATE TABLE public.low PARTITION OF public.items FOR VALUES FROM (0) TO (10)",
                   "INSERT INTO public.items VALUES (1, 'a')");
    node().script("INSERT INTO public.items VALUES (2, 'b')");
    node().script("ALTER TABLE public.items DETACH PARTITION public.low");
    node().script("INSERT INTO public.low VALUES (3, 'of nobody')");
    node().script("CREATE TABLE public.high (name text, id int PRIMARY KEY)");
    node().script("ALTER TABLE public.items ATTACH PARTITION public.high FOR VALUES FROM (10) TO (20)");
    node().script("INSERT INTO public.items VALUES (11, 'c')");
    node().script("UPDATE public.items SET name = 'd' WHERE id = 11");
    const auto events = after_start(4);
    for (const FakeEvent& event : events) {
        EXPECT_EQ(event.table, "public.items");
    }
    EXPECT_EQ(events[1].key, "2");
    EXPECT_EQ(events[2].key, "11");
    EXPECT_EQ(events[3].after.at("name"), "d");
}

TEST_F(StreamTest, AnEnumsNewLabelIsKnownWithItsFirstRow)
{
    set_up_captured(
        "CREATE TYPE public.mood AS ENUM ('sad', 'ok'); CREATE TABLE public.items (id int PRIMARY KEY, m public.mood)",
        {"items"});
    start_after_snapshot();
    node().script("INSERT INTO public.items VALUES (1, 'ok')");
    ASSERT_EQ(kafka_.wait_events(1).size(), 1U);
    node().script("ALTER TYPE public.mood ADD VALUE 'happy'");
    node().script("INSERT INTO public.items VALUES (2, 'happy')");
    const auto events = kafka_.wait_events(2);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].types.at("m"), "mood(sad,ok)");
    EXPECT_EQ(events[1].types.at("m"), "mood(sad,ok,happy)");
}

} // namespace
} // namespace keyshift::test
