#include "tests/cdc/source/snapshot_fixture.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <map>
#include <set>

namespace keyshift::test {
namespace {

/// Enough rows for several ranges.
constexpr int kRows = 20'000;
constexpr const char* kTable = "CREATE TABLE public.items (id int PRIMARY KEY, name text, filler text); "
                               "ALTER TABLE public.items ALTER name SET STORAGE EXTERNAL; ";
const std::string kFill =
    fmt::format("INSERT INTO public.items SELECT i, 'n' || i, repeat('x', 700) FROM generate_series(1, {}) i; ", kRows);

/// By place where nothing is stored out of line, by key where something is.
class SnapshotRanges : public SnapshotTest, public testing::WithParamInterface<const char*> {
protected:
    /// Updates, moves, deletes and inserts rows until told to stop; some updates leave a large value as it is.
    void write(std::stop_token stop)
    {
        pg::Connection connection = cluster_.connect(0);
        for (int i = 0; !stop.stop_requested(); ++i) {
            const std::string id = std::to_string(i * 7919 % (kRows + 5'000));
            const std::string other = std::to_string(i * 104'729 % (kRows + 5'000));
            connection.query("INSERT INTO public.items VALUES ($1::int, $2, repeat('y', 900)) "
                             "ON CONFLICT (id) DO UPDATE SET name = excluded.name, filler = excluded.filler",
                             {id, "w" + std::to_string(i)});
            connection.query("UPDATE public.items SET filler = repeat('z', 600) WHERE id = $1::int", {other});
            if (i % 3 == 0) {
                connection.query("DELETE FROM public.items WHERE id = $1::int", {other});
            }
        }
    }
};

TEST_P(SnapshotRanges, OfOneTableAreReadAtTheSameTimeAndTheFoldIsTheTableThoughItIsWrittenToMeanwhile)
{
    set_up_captured(kTable + kFill + GetParam(), {"items"});
    std::jthread writer([this](std::stop_token stop) { write(stop); });
    start();
    EXPECT_TRUE(eventually([&] {
        return one(cluster_.catalog(), "SELECT coalesce(jsonb_array_length(ranges), 0) > 1 FROM keyshift.snapshot") ==
               "t";
    }));
    ASSERT_TRUE(done(std::chrono::seconds(90)));
    writer.request_stop();
    writer.join();
    ASSERT_TRUE(running_->stream().wait_acknowledged(current(), std::chrono::seconds(30)));
    EXPECT_EQ(fold(), table());
    const auto controls = kafka_.controls();
    ASSERT_EQ(controls.size(), 2U);
    EXPECT_NE(controls[1].find("end"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Of, SnapshotRanges,
                         testing::Values("",
                                         "UPDATE public.items SET name = repeat('n', 9000) || id WHERE id % 200 = 0"),
                         [](const auto& one) { return *one.param == '\0' ? "Places" : "Keys"; });

class SnapshotOf : public SnapshotTest {};

TEST_F(SnapshotOf, ATableThatIsRewrittenMeanwhileIsReadAnew)
{
    set_up_captured(kTable + kFill, {"items"});
    kafka_.set_up(false);
    kafka_.set_room(1'000'000);
    start();
    ASSERT_TRUE(eventually([&] { return !kafka_.events("public.items").empty(); }));
    node().script("DELETE FROM public.items WHERE id % 2 = 0");
    node().script("VACUUM FULL public.items");
    kafka_.set_up(true);
    ASSERT_TRUE(done(std::chrono::seconds(60)));
    ASSERT_TRUE(running_->stream().wait_acknowledged(current(), std::chrono::seconds(30)));
    EXPECT_EQ(fold(), table());
}

TEST_F(SnapshotOf, SeveralTablesSaysWhichRowsAreTheFirstAndTheLastOfEachAndOfAll)
{
    set_up_captured(kTable + kFill +
                        "CREATE TABLE public.few (id int PRIMARY KEY); INSERT INTO public.few VALUES (1), (2); "
                        "CREATE TABLE public.none (id int PRIMARY KEY); "
                        "CREATE TABLE public.more (id int PRIMARY KEY, name text); "
                        "INSERT INTO public.more SELECT i, repeat('m', 700) FROM generate_series(1, 9000) i",
                    {"items", "few", "none", "more"});
    start();
    ASSERT_TRUE(done());
    const auto events = kafka_.events();
    ASSERT_EQ(events.size(), static_cast<std::size_t>(kRows) + 2 + 9'000);
    EXPECT_EQ(events.front().snapshot, "first");
    EXPECT_EQ(events.back().snapshot, "last");
    std::map<std::string, int> count;
    for (const FakeEvent& event : events) {
        ++count[event.snapshot];
    }
    EXPECT_EQ(count, (std::map<std::string, int>{{"first", 1},
                                                 {"first_in_data_collection", 2},
                                                 {"true", kRows + 2 + 9'000 - 6},
                                                 {"last_in_data_collection", 2},
                                                 {"last", 1}}));
    for (const char* table : {"public.items", "public.few", "public.more"}) {
        const auto of_table = kafka_.events(table);
        EXPECT_TRUE(of_table.front().snapshot.starts_with("first")) << table;
        EXPECT_TRUE(of_table.back().snapshot.starts_with("last")) << table;
    }
}

TEST_F(SnapshotOf, RowsWithoutAKeyComeOnceEachWhenNobodyWrites)
{
    set_up_captured("CREATE TABLE public.items (id int, name text); ALTER TABLE public.items REPLICA IDENTITY FULL; "
                    "INSERT INTO public.items SELECT i, repeat('n', 500) FROM generate_series(1, 20000) i",
                    {"items"});
    start();
    ASSERT_TRUE(done());
    const auto events = kafka_.events("public.items");
    std::set<std::string> ids;
    for (const FakeEvent& event : events) {
        ids.insert(event.after.at("id"));
    }
    EXPECT_EQ(events.size(), 20'000U);
    EXPECT_EQ(ids.size(), 20'000U);
}

TEST_F(SnapshotOf, WhatATransactionWroteBeforeTheTableWasPublishedIsNotMissed)
{
    node().script(std::string(kTable) + "INSERT INTO public.items VALUES (1, 'one', '')");
    add_node();
    pg::Connection early = cluster_.connect(0);
    pg::Transaction open(early);
    early.query("INSERT INTO public.items VALUES (2, 'two', '')");
    catalog::capture(cluster_.catalog(), {"items"}, false, {}, false);
    start();
    ASSERT_TRUE(running_->wait_state("streaming"));
    node().query("INSERT INTO public.items VALUES (3, 'three', '')");
    ASSERT_EQ(kafka_.wait_events(1, "public.items").size(), 1U) << "the stream does not wait for it";
    open.commit();
    ASSERT_TRUE(done());
    EXPECT_EQ(fold(), table());
}

TEST_F(SnapshotOf, APartitionedTableComesFromItsPartitions)
{
    set_up_captured("CREATE TABLE public.items (id int PRIMARY KEY, name text) PARTITION BY RANGE (id); "
                    "CREATE TABLE public.low PARTITION OF public.items FOR VALUES FROM (0) TO (100); "
                    "CREATE TABLE public.high (name text, id int PRIMARY KEY); "
                    "ALTER TABLE public.items ATTACH PARTITION public.high FOR VALUES FROM (100) TO (1000); "
                    "INSERT INTO public.items SELECT i, 'n' || i FROM generate_series(1, 500) i",
                    {"items"});
    start();
    ASSERT_TRUE(done());
    EXPECT_EQ(kafka_.events("public.items").size(), 500U);
    EXPECT_EQ(fold(), table());
}

TEST_F(SnapshotOf, ARowThatMovesToKeysThatHaveBeenReadBringsItsLargeValueAlong)
{
    constexpr int kMoved = 300;
    set_up_captured(std::string(kTable) +
                        "INSERT INTO public.items SELECT i, repeat('n', 3000) || i, i FROM generate_series(1, 6000) i",
                    {"items"});
    start();
    ASSERT_TRUE(eventually([&] { return !kafka_.events("public.items").empty(); }));
    for (int i = 0; i < kMoved; ++i) {
        const std::string from = std::to_string(6000 - i * 19);
        node().query("UPDATE public.items SET id = -id WHERE id = $1::int", {from});
    }
    ASSERT_TRUE(done(std::chrono::seconds(60)));
    ASSERT_TRUE(running_->stream().wait_acknowledged(current(), std::chrono::seconds(30)));
    // A consumer knows a value that an event lacks from any record that the row had before; `filler` tells rows apart.
    std::map<std::string, std::string> values;
    std::map<std::string, std::string> rows;
    std::size_t lacking = 0;
    for (const FakeEvent& event : kafka_.events("public.items")) {
        const std::string& row = event.after.at("filler");
        if (event.after.contains("name")) {
            values[row] = event.after.at("name");
        } else {
            ++lacking;
        }
        if (event.old_key) {
            rows.erase(*event.old_key);
        }
        rows[event.key] = values[row];
    }
    for (auto& [key, name] : rows) {
        name = name.empty() ? "not in the topic" : name;
    }
    EXPECT_GT(lacking, 0U) << "rows moved while they were read";
    EXPECT_EQ(rows, table());
    const Lsn end = current();
    EXPECT_TRUE(eventually([&] { return confirmed() >= end; })) << "nothing holds the slot any more";
}

class SnapshotThat : public SnapshotTest {
protected:
    std::string state(const std::string& table)
    {
        return one(cluster_.catalog(),
                   "SELECT state FROM keyshift.snapshot s JOIN keyshift.captured_table t ON t.id = s.table_id "
                   "WHERE table_name = '" +
                       table + "'");
    }
};

TEST_F(SnapshotThat, MeetsARowItsConditionFailsForHasFailedAndHoldsUpNoOther)
{
    set_up_captured(
        "CREATE TABLE public.items (id int PRIMARY KEY, name text); CREATE TABLE public.zeros (id int PRIMARY KEY); "
        "INSERT INTO public.items SELECT i, 'n' || i FROM generate_series(1, 300) i; "
        "INSERT INTO public.zeros VALUES (1), (0), (2)",
        {"zeros", "items"});
    start();
    ASSERT_TRUE(done());
    catalog::snapshot_again(cluster_.catalog(), {"zeros", "1 / id > 0", {}, false});
    ASSERT_TRUE(eventually([&] { return state("zeros") == "failed"; }));
    EXPECT_NE(
        one(cluster_.catalog(), "SELECT error->>'why' FROM keyshift.snapshot WHERE state = 'failed'").find("22012"),
        std::string::npos);
    catalog::snapshot_again(cluster_.catalog(), {"items", "id > 290", {}, false});
    ASSERT_TRUE(eventually([&] { return state("items") == "done"; }));
    EXPECT_EQ(kafka_.events("public.items").size(), 310U);
    EXPECT_EQ(state("zeros"), "failed");
    EXPECT_EQ(catalog::snapshot_progress(cluster_.catalog(), 1).at("failed"), 1);
    catalog::snapshot_again(cluster_.catalog(), {"zeros", "id > 0", {}, false});
    EXPECT_TRUE(eventually([&] { return state("zeros") == "done"; }));
}

TEST_F(SnapshotThat, IsCancelledReadsNoMore)
{
    set_up_captured(std::string(kTable) + kFill, {"items"});
    kafka_.set_up(false);
    kafka_.set_room(1'000);
    start();
    ASSERT_TRUE(eventually([&] { return kafka_.events("public.items").size() >= 1'000; }));
    EXPECT_EQ(catalog::cancel_snapshot(cluster_.catalog(), {"items", "", {}, false}).at("parts"), 1);
    EXPECT_THROW(catalog::cancel_snapshot(cluster_.catalog(), {"items", "", {}, false}), Error);
    // Its workers have gone.
    ASSERT_TRUE(eventually([&] {
        return one(node(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                           "AND application_name LIKE '%cdc snapshot%'") == "0";
    }));
    kafka_.set_up(true);
    catalog::snapshot_again(cluster_.catalog(), {"items", "id <= 10", {}, false});
    ASSERT_TRUE(done());
    EXPECT_EQ(one(cluster_.catalog(), "SELECT rows FROM keyshift.snapshot"), "10");
    EXPECT_LT(kafka_.events("public.items").size(), static_cast<std::size_t>(kRows));
}

} // namespace
} // namespace keyshift::test
