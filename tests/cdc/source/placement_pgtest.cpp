#include "tests/cdc/source/stream_fixture.hpp"

namespace keyshift::test {
namespace {

constexpr const char* kItems = "CREATE TABLE public.items (id int PRIMARY KEY, name text)";

/// Fence and open messages as the mover writes them; the catalog's answer is up to each test.
class PlacementTest : public StreamTest {
protected:
    PlacementTest()
    {
        set_up_distributed(kItems, "items", "id");
        key_ = key();
    }

    /// A key of bucket 1.
    std::string key()
    {
        return one(
            node(),
            "SELECT i FROM generate_series(1, 100) i WHERE keyshift.bucket_of('public.items', i::text) = 1 LIMIT 1");
    }
    void add_move(const std::string& donor, const std::string& recipient, int epoch)
    {
        cluster_.catalog().script("INSERT INTO keyshift.job DEFAULT VALUES");
        cluster_.catalog().query(
            "INSERT INTO keyshift.move (job, group_name, bucket, donor, recipient, state, epoch, token) "
            "SELECT max(id), 'items', 1, $1, $2, 'fenced', $3::bigint, 'secret' FROM keyshift.job",
            {donor, recipient, std::to_string(epoch)});
    }
    Lsn emit(const std::string& type, int epoch, const std::string& token = "secret")
    {
        const std::string move = one(cluster_.catalog(), "SELECT coalesce(max(id), 1) FROM keyshift.move");
        const Lsn lsn = node().query("SELECT pg_catalog.pg_current_wal_insert_lsn()").lsn(0, 0);
        node().query("SELECT pg_catalog.pg_logical_emit_message(true, 'keyshift', $1)",
                     {R"({"type":")" + type + R"(","move":)" + move + R"(,"group":"items","bucket":1,"epoch":)" +
                      std::to_string(epoch) + R"(,"token":")" + token + R"(","lsn":")" + lsn.to_string() + R"("})"});
        return lsn;
    }
    void write(const std::string& name)
    {
        node().query(
            "INSERT INTO public.items VALUES ($1::int, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            {key_, name});
    }
    std::vector<std::string> names()
    {
        std::vector<std::string> found;
        for (const FakeEvent& event : kafka_.events("public.items")) {
            found.push_back(event.after.at("name"));
        }
        return found;
    }
    std::string key_;
};

TEST_F(PlacementTest, AfterItsFenceABucketIsSilentAndTheSlotWaitsForTheHistory)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    write("before");
    add_move("n1", "n2", 2);
    const Lsn fence = emit("fence", 2);
    write("after");
    const Lsn end = current();
    ASSERT_TRUE(running_->stream().wait_acknowledged(end, std::chrono::seconds(10)));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_EQ(names(), std::vector<std::string>{"before"});
    EXPECT_LT(confirmed(), end);
    cluster_.catalog().query("UPDATE keyshift.bucket_history SET fence_lsn = $1::pg_lsn WHERE bucket = 1 AND epoch = 1",
                             {fence.to_string()});
    running_->stream().placement_changed();
    EXPECT_TRUE(wait_confirmed(end));
}

TEST_F(PlacementTest, OnlyFromItsOpenOnABucketIsPublishedWithItsEpoch)
{
    cluster_.catalog().script("DELETE FROM keyshift.bucket_history WHERE bucket = 1");
    ASSERT_TRUE(start().wait_state("streaming"));
    write("by the mover");
    add_move("n2", "n1", 2);
    const Lsn open = emit("open", 2);
    write("by a client");
    const Lsn end = current();
    const auto events = kafka_.wait_events(1, "public.items");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].after.at("name"), "by a client");
    EXPECT_EQ(events[0].position.epoch, Epoch{2});
    EXPECT_TRUE(eventually([&] { return !kafka_.controls().empty(); }));
    ASSERT_EQ(kafka_.controls().size(), 1U);
    EXPECT_NE(kafka_.controls()[0].find(R"("type":"switch")"), std::string::npos);
    EXPECT_LT(confirmed(), end);
    cluster_.catalog().query("INSERT INTO keyshift.bucket_history VALUES ('items', 1, 2, 'n1', $1::pg_lsn)",
                             {open.to_string()});
    running_->stream().placement_changed();
    EXPECT_TRUE(wait_confirmed(end));
}

TEST_F(PlacementTest, AForgedFenceIsIgnored)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    add_move("n1", "n2", 2);
    emit("fence", 2, "guessed");
    write("still mine");
    const auto events = kafka_.wait_events(1, "public.items");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_TRUE(wait_confirmed(current()));
}

TEST_F(PlacementTest, AReplayOfFencedWalPublishesNothing)
{
    write("old value");
    const Lsn fence = current();
    cluster_.catalog().query("UPDATE keyshift.bucket_history SET fence_lsn = $1::pg_lsn WHERE bucket = 1",
                             {fence.to_string()});
    ASSERT_TRUE(start().wait_state("streaming"));
    ASSERT_TRUE(wait_confirmed(current()));
    EXPECT_TRUE(kafka_.events().empty());
}

TEST_F(PlacementTest, TheCatalogBeingAwayDoesNotStopTheStream)
{
    ASSERT_TRUE(start().wait_state("streaming"));
    cluster_.catalog().script("ALTER SCHEMA keyshift RENAME TO keyshift_away");
    write("while the catalog is away");
    EXPECT_EQ(kafka_.wait_events(1).size(), 1U);
    EXPECT_TRUE(wait_confirmed(current()));
    cluster_.catalog().script("ALTER SCHEMA keyshift_away RENAME TO keyshift");
}

} // namespace
} // namespace keyshift::test
