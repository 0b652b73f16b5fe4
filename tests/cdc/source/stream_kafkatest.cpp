#include "cdc/node_stream.hpp"
#include "core/change_event.hpp"
#include "core/json.hpp"
#include "metrics/families.hpp"
#include "tests/catalog/cluster.hpp"
#include "tests/cdc/source/running_stream.hpp"
#include "tests/support/private_kafka.hpp"
#include "tests/support/private_postgres.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

namespace keyshift::test {
namespace {

using nlohmann::json;

std::size_t resident_bytes()
{
    std::ifstream status("/proc/self/statm");
    std::size_t pages = 0;
    std::size_t resident = 0;
    status >> pages >> resident;
    return resident * 4096;
}

cdc::CdcOptions options_for(const kafka::Settings& kafka, const std::string& prefix)
{
    cdc::CdcOptions options;
    options.topic_prefix = prefix;
    options.kafka = kafka;
    options.heartbeat_interval = std::chrono::milliseconds(200);
    return options;
}

TEST(StreamToKafka, ChangesOfADistributedTableArriveInOrderPerKeyWithOriginAndPosition)
{
    Cluster cluster;
    cluster.add_database();
    pg::Connection node = cluster.connect(0);
    node.script(
        "CREATE TABLE public.items (id int PRIMARY KEY, name text); INSERT INTO public.items SELECT i, 'old' FROM generate_series(1, 100) i");
    cluster.add_node(0);
    cluster.distribute("items", {"id"}, {}, 4);
    const kafka::Settings settings = TestServers().kafka();
    RunningStream running(catalog::node(cluster.catalog(), "n1"), cluster.catalog().settings(),
                          options_for(settings, cluster.name()));
    ASSERT_TRUE(eventually(
        [&] { return one(cluster.catalog(), "SELECT bool_and(state = 'done') FROM keyshift.snapshot") == "t"; }));
    for (int round = 0; round < 5; ++round) {
        node.query("UPDATE public.items SET name = $1", {"round " + std::to_string(round)});
    }
    node.script("DELETE FROM public.items WHERE id <= 10");
    const Lsn end = node.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    ASSERT_TRUE(eventually([&] { return running.stream().wait_acknowledged(end, std::chrono::seconds(1)); }));

    std::map<std::string, std::string> folded;
    std::map<std::string, SourcePosition> positions;
    for (const kafka::Message& message : read_topic(settings, cluster.name() + ".public.items", 100 + 500 + 20)) {
        const std::string key = message.key.value();
        if (!message.value) {
            EXPECT_FALSE(folded.contains(key)) << "a tombstone follows its delete";
            continue;
        }
        const json value = json::parse(*message.value);
        const auto position = SourcePosition::parse(message.header(kHeaderPosition).value_or(""));
        ASSERT_TRUE(position);
        EXPECT_TRUE(!positions.contains(key) || positions[key] < *position);
        positions[key] = *position;
        EXPECT_EQ(position->epoch, Epoch{1});
        const auto origin = Origin::parse(message.header(kHeaderOrigin).value_or(""));
        ASSERT_TRUE(origin);
        EXPECT_EQ(origin->node, "n1");
        if (value["op"] == "d") {
            folded.erase(key);
        } else {
            folded[key] = value["after"]["name"];
        }
    }
    EXPECT_EQ(positions.size(), 100U);
    ASSERT_EQ(folded.size(), 90U);
    EXPECT_EQ(folded.at(R"({"id":11})"), "round 4");
}

TEST(StreamToKafka, WhileTheBrokerIsDeadMemoryAndConfirmedPositionStayAndAFastShutdownIsFast)
{
    PrivateKafka broker;
    PrivatePostgres postgres;
    catalog::Node node;
    {
        pg::Connection catalog(postgres.settings("catalog"));
        catalog::init(catalog, "own", "own", false);
        catalog.script("CREATE TABLE public.items (id int PRIMARY KEY, filler text)");
        catalog::add_node(catalog, {"n1", postgres.conninfo(), "", false});
        catalog::capture(catalog, {"items"}, false, {}, false);
        node = catalog::node(catalog, "n1");
    }
    cdc::CdcOptions options = options_for(broker.settings(), "own");
    // The transaction comes while it is open: without these limits it would rightly stay in memory.
    options.producer_queue_bytes = 8U << 20U;
    options.max_transaction_memory = 8U << 20U;
    RunningStream running(node, postgres.settings("catalog"), options);
    ASSERT_TRUE(running.wait_state("streaming"));
    const auto confirmed = [&] {
        pg::Connection connection(postgres.settings());
        return connection
            .query("SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {node.slot})
            .lsn(0, 0);
    };
    {
        pg::Connection connection(postgres.settings());
        connection.script("INSERT INTO public.items VALUES (0, 'first')");
        const Lsn first = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
        ASSERT_TRUE(eventually([&] { return confirmed() >= first; }));
        broker.kill();
        const std::size_t before = resident_bytes();
        connection.script("INSERT INTO public.items SELECT i, repeat('x', 500) FROM generate_series(1, 200000) i");
        const Lsn end = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
        ASSERT_TRUE(running.wait_state("waiting", std::chrono::seconds(30)));
        std::this_thread::sleep_for(std::chrono::seconds(3));
        EXPECT_LT(confirmed(), end);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they keep freed memory
        // 200,000 rows are 100 MB: they must have stayed in PostgreSQL, or in files.
        EXPECT_LT(resident_bytes(), before + (60U << 20U));
#else
        static_cast<void>(before);
#endif
    }
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(postgres.stop("fast", 30), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
    postgres.start();
    broker.resume();
    pg::Connection connection(postgres.settings());
    const Lsn end = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    EXPECT_TRUE(eventually([&] { return confirmed() >= end; }, std::chrono::seconds(90)));
    std::set<std::string> keys;
    for (const kafka::Message& message : read_topic(broker.settings(), "own.public.items")) {
        keys.insert(message.key.value());
    }
    EXPECT_EQ(keys.size(), 200'001U);
}

} // namespace
} // namespace keyshift::test
