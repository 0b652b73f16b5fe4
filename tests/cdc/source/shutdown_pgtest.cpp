#include "core/json.hpp"
#include "tests/cdc/source/stream_fixture.hpp"
#include "tests/support/private_postgres.hpp"

#include <algorithm>
#include <set>

namespace keyshift::test {
namespace {

/// One server of its own, catalog and node in one database, set up by hand.
class OwnServerTest : public testing::Test {
protected:
    OwnServerTest()
    {
        FakeKafka::instance().reset();
        pg::Connection catalog(postgres_.settings("catalog"));
        catalog::init(catalog, "own", "own", false);
        catalog.script("CREATE TABLE public.items (id int PRIMARY KEY, filler text)");
        catalog::add_node(catalog, {"n1", postgres_.conninfo(), "", false});
        catalog::capture(catalog, {"items"}, false, {}, false);
        options_.topic_prefix = "own";
        options_.heartbeat_interval = std::chrono::milliseconds(200);
        node_ = catalog::node(catalog, "n1");
    }
    Lsn confirmed(pg::Connection& connection)
    {
        return connection
            .query("SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {node_.slot})
            .lsn(0, 0);
    }

    PrivatePostgres postgres_;
    cdc::CdcOptions options_;
    catalog::Node node_;
};

/// Not as the last one: the snapshot of the captured table may still be on its way.
bool has_key(FakeKafka& kafka, const std::string& key)
{
    const auto events = kafka.events();
    return std::any_of(events.begin(), events.end(), [&](const FakeEvent& event) { return event.key == key; });
}

TEST_F(OwnServerTest, AFastShutdownEndsAtOnceWhileKafkaIsDownAndNothingIsLost)
{
    FakeKafka& kafka = FakeKafka::instance();
    RunningStream running(node_, postgres_.settings("catalog"), options_);
    ASSERT_TRUE(running.wait_state("streaming"));
    kafka.set_room(50);
    kafka.set_up(false);
    Lsn before;
    {
        pg::Connection connection(postgres_.settings());
        before = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
        connection.script("INSERT INTO public.items SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i");
        ASSERT_GE(kafka.wait_events(50).size(), 50U);
        EXPECT_LE(confirmed(connection), before);
        // What does not fit stays in PostgreSQL.
        EXPECT_LT(kafka.events().size(), 200U);
    }
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(postgres_.stop("fast", 20), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
    EXPECT_TRUE(running.wait_state("waiting"));
    postgres_.start();
    kafka.set_up(true);
    ASSERT_TRUE(eventually([&] { return has_key(kafka, "20000"); }, std::chrono::seconds(30)));
    pg::Connection connection(postgres_.settings());
    const Lsn end = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    EXPECT_TRUE(eventually([&] { return confirmed(connection) >= end; }));
}

TEST_F(OwnServerTest, ACrashOfTheServerLosesNothing)
{
    FakeKafka& kafka = FakeKafka::instance();
    RunningStream running(node_, postgres_.settings("catalog"), options_);
    ASSERT_TRUE(running.wait_state("streaming"));
    {
        pg::Connection connection(postgres_.settings());
        connection.script("INSERT INTO public.items SELECT i FROM generate_series(1, 100) i");
    }
    postgres_.stop("immediate");
    postgres_.start();
    {
        pg::Connection connection(postgres_.settings());
        connection.script("INSERT INTO public.items SELECT i FROM generate_series(101, 200) i");
    }
    EXPECT_TRUE(eventually([&] { return has_key(kafka, "200"); }, std::chrono::seconds(30)));
    std::set<std::string> keys;
    for (const FakeEvent& event : kafka.events()) {
        keys.insert(event.key);
    }
    EXPECT_EQ(keys.size(), 200U);
}

} // namespace
} // namespace keyshift::test
