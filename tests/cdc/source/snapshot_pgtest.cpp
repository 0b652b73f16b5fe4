#include "tests/cdc/source/snapshot_fixture.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"

#include <map>

namespace keyshift::test {
namespace {

constexpr const char* kItems = "CREATE TABLE public.items (id int PRIMARY KEY, name text)";

TEST_F(SnapshotTest, ExistingRowsReachTheTopicMarkedAsSnapshotBetweenBeginAndEnd)
{
    set_up_captured(std::string(kItems) +
                        "; INSERT INTO public.items SELECT i, 'n' || i FROM generate_series(1, 2500) i",
                    {"items"});
    start();
    ASSERT_TRUE(done());
    const auto events = kafka_.events("public.items");
    ASSERT_EQ(events.size(), 2500U);
    EXPECT_EQ(events.front().snapshot, "first");
    EXPECT_EQ(events[1].snapshot, "true");
    EXPECT_EQ(events.back().snapshot, "last");
    EXPECT_EQ(fold(), table());
    const auto controls = kafka_.controls();
    ASSERT_EQ(controls.size(), 2U);
    EXPECT_NE(controls[0].find("begin"), std::string::npos);
    EXPECT_NE(controls[1].find("end"), std::string::npos);
    EXPECT_EQ(one(cluster_.catalog(), "SELECT sum(rows) FROM keyshift.snapshot"), "2500");
}

TEST_F(SnapshotTest, RowsAreReadOnceMoreOnDemandThoseThatMeetTheCondition)
{
    set_up_captured(std::string(kItems) +
                        "; INSERT INTO public.items SELECT i, 'n' || i FROM generate_series(1, 2500) i",
                    {"items"});
    start();
    ASSERT_TRUE(done());
    ASSERT_EQ(kafka_.events("public.items").size(), 2500U);
    const nlohmann::json queued =
        catalog::snapshot_again(cluster_.catalog(), {"items", "id > 100 AND name <> 'n101' -- all but one", {}, false});
    EXPECT_EQ(queued["parts"], 1);
    ASSERT_TRUE(done());
    auto events = kafka_.events("public.items");
    ASSERT_EQ(events.size(), 2500U + 2399U);
    for (std::size_t at = 2500; at < events.size(); ++at) {
        EXPECT_EQ(events[at].snapshot, "incremental");
        EXPECT_NE(events[at].after.at("name"), "n101");
    }
    node().script("UPDATE public.items SET name = 'new' WHERE id <= 50");
    ASSERT_TRUE(eventually([&] { return kafka_.events("public.items").size() == 4949; }));
    catalog::snapshot_again(cluster_.catalog(), {"items", "", {}, false});
    ASSERT_TRUE(done());
    EXPECT_EQ(kafka_.events("public.items").size(), 4949U + 2500U);
    EXPECT_EQ(fold(), table());
}

TEST_F(SnapshotTest, FoldOfTheTopicIsTheTableThoughItIsWrittenToMeanwhile)
{
    set_up_distributed(std::string(kItems) +
                           "; INSERT INTO public.items SELECT i, 'n' || i FROM generate_series(1, 20000) i",
                       "items", "id");
    std::jthread writer([this](std::stop_token stop) {
        pg::Connection connection = cluster_.connect(0);
        for (int i = 0; !stop.stop_requested(); ++i) {
            const std::string id = std::to_string(i * 7919 % 25'000);
            connection.query(
                "INSERT INTO public.items VALUES ($1::int, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                {id, "w" + std::to_string(i)});
            if (i % 3 == 0) {
                connection.query("DELETE FROM public.items WHERE id = $1::int", {std::to_string(i * 104'729 % 25'000)});
            }
        }
    });
    start();
    ASSERT_TRUE(done(std::chrono::seconds(60)));
    writer.request_stop();
    writer.join();
    ASSERT_TRUE(running_->stream().wait_acknowledged(current(), std::chrono::seconds(10)));
    EXPECT_EQ(fold(), table());
}

TEST_F(SnapshotTest, ARestartGoesOnAfterTheLastChunkThatKafkaHas)
{
    set_up_captured(std::string(kItems) +
                        "; INSERT INTO public.items SELECT i, repeat('x', 2000) FROM generate_series(1, 20000) i",
                    {"items"});
    start();
    ASSERT_TRUE(
        eventually([&] { return one(cluster_.catalog(), "SELECT rows >= 1000 FROM keyshift.snapshot") == "t"; }));
    stop();
    const auto had = std::stoul(one(cluster_.catalog(), "SELECT rows FROM keyshift.snapshot"));
    const auto before = kafka_.events().size();
    start();
    ASSERT_TRUE(done());
    EXPECT_EQ(fold().size(), 20'000U);
    EXPECT_LE(kafka_.events().size(), 20'000U + before - had);
}

TEST_F(SnapshotTest, ADeadProducerInTheMiddleLosesNoRow)
{
    set_up_captured(std::string(kItems) +
                        "; INSERT INTO public.items SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i",
                    {"items"});
    start();
    for (int i = 0; i < 4; ++i) {
        kafka_.wait_events(static_cast<std::size_t>(3000 * (i + 1)));
        kafka_.kill_publishers();
    }
    ASSERT_TRUE(done());
    EXPECT_EQ(fold(), table());
}

TEST_F(SnapshotTest, RowsWithoutAKeyAllArrive)
{
    set_up_captured("CREATE TABLE public.items (id int, name text); ALTER TABLE public.items REPLICA IDENTITY FULL; "
                    "INSERT INTO public.items SELECT i, 'n' FROM generate_series(1, 3000) i",
                    {"items"});
    start();
    ASSERT_TRUE(done());
    EXPECT_EQ(kafka_.events("public.items").size(), 3000U);
}

} // namespace
} // namespace keyshift::test
