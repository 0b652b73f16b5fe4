#include "core/change_event.hpp"
#include "core/json.hpp"
#include "tests/catalog/cluster.hpp"
#include "tests/cdc/source/running_stream.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>

namespace keyshift::test {
namespace {

/// One node whose WAL is read twice through slots that began at the same place: once with large transactions streamed while
/// they are open, once whole at their commit.
class StreamedAndWhole : public testing::Test {
protected:
    StreamedAndWhole()
    {
        cluster_.add_database();
        node_.emplace(cluster_.connect(0));
        node_->script("CREATE TABLE public.items (id int PRIMARY KEY, name text, big text);"
                      "CREATE TABLE public.other (id int PRIMARY KEY, note text)");
        cluster_.add_node(0);
        // Nothing to snapshot: both streams see the same WAL and nothing else.
        catalog::capture(cluster_.catalog(), {"items", "other"}, false, {}, false);
        cluster_.catalog().script("UPDATE keyshift.snapshot SET state = 'done'");
        begin_reading("streamed");
        begin_reading("whole");
    }
    ~StreamedAndWhole() override { running_.reset(); }

    catalog::Node reader(const std::string& way)
    {
        catalog::Node node = catalog::node(cluster_.catalog(), "n1");
        node.slot += "_" + way;
        node.dsn += fmt::format(" options='-c logical_decoding_work_mem={}'", way == "whole" ? "1GB" : "64kB");
        return node;
    }
    void begin_reading(const std::string& way)
    {
        const std::string slot = reader(way).slot;
        node_->script(fmt::format("CREATE PUBLICATION \"{}\" FOR TABLE public.items, public.other", slot));
        node_->query("SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')", {slot});
    }
    RunningStream& start(const std::string& way)
    {
        options_.topic_prefix = cluster_.name() + "." + way;
        options_.kafka = settings_;
        options_.partitions = 2;
        options_.spool_directory = "/tmp";
        // One heartbeat in the WAL would be read by one stream and not by the other.
        options_.heartbeat_interval = std::chrono::minutes(10);
        running_ = std::make_unique<RunningStream>(reader(way), cluster_.catalog().settings(), options_);
        return *running_;
    }
    /// Everything is in Kafka.
    bool drained()
    {
        node_->script("SELECT pg_catalog.pg_logical_emit_message(true, 'test', 'end')");
        const Lsn end = node_->query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
        return running_->stream().wait_acknowledged(end, std::chrono::seconds(60));
    }
    std::int64_t streamed_transactions(const std::string& way)
    {
        return node_
            ->query("SELECT stream_txns FROM pg_catalog.pg_stat_replication_slots WHERE slot_name = $1",
                    {reader(way).slot})
            .integer(0, 0);
    }
    /// The records of a table's topic without clocks and the connector's name.
    std::vector<std::string> records(const std::string& way, const std::string& table)
    {
        std::vector<std::string> found;
        for (const kafka::Message& message :
             read_topic(settings_, fmt::format("{}.{}.public.{}", cluster_.name(), way, table))) {
            std::string text = "tombstone";
            if (message.value) {
                auto value = nlohmann::ordered_json::parse(*message.value);
                for (const char* clock : {"ts_ms", "ts_us", "ts_ns"}) {
                    value.erase(clock);
                }
                value["source"]["name"] = "";
                text = value.dump();
            }
            found.push_back(fmt::format("{} {} {} {}", message.partition, message.key.value_or(""), text,
                                        message.header(kHeaderPosition).value_or("")));
        }
        return found;
    }
    std::map<int, std::string> fold(const std::string& way)
    {
        std::map<int, std::string> rows;
        for (const kafka::Message& message :
             read_topic(settings_, fmt::format("{}.{}.public.items", cluster_.name(), way))) {
            if (!message.value) {
                continue;
            }
            const auto value = nlohmann::json::parse(*message.value);
            if (value.at("after").is_null()) {
                rows.erase(value.at("before").at("id"));
            } else {
                rows[value.at("after").at("id")] = value.at("after").at("name");
            }
        }
        return rows;
    }
    std::map<int, std::string> table()
    {
        std::map<int, std::string> rows;
        const pg::Result all = node_->query("SELECT id, name FROM public.items");
        for (int row = 0; row < all.rows(); ++row) {
            rows[static_cast<int>(all.integer(row, 0))] = all.text(row, 1);
        }
        return rows;
    }

    Cluster cluster_;
    std::optional<pg::Connection> node_;
    kafka::Settings settings_ = TestServers().kafka();
    cdc::CdcOptions options_;
    std::unique_ptr<RunningStream> running_;
};

/// `sql` in a session of its own.
class Session {
public:
    explicit Session(Cluster& cluster) : connection_(cluster.connect(0)) {}
    Session& operator()(const std::string& sql)
    {
        connection_.script(sql);
        return *this;
    }

private:
    pg::Connection connection_;
};

std::string rows(int from, int to, const char* name = "row")
{
    return fmt::format("INSERT INTO public.items SELECT i, '{} ' || i, repeat('x', 40) FROM generate_series({}, {}) i",
                       name, from, to);
}

void work(Cluster& cluster)
{
    Session a(cluster);
    Session b(cluster);
    Session c(cluster);
    // Interleaved, one of them rolled back as a whole.
    a("BEGIN")(rows(1, 3000));
    b("BEGIN")(rows(10001, 13000));
    c("BEGIN")(rows(20001, 23000));
    a("UPDATE public.items SET name = 'changed ' || id WHERE id % 3 = 0");
    b("SAVEPOINT s1")(rows(13001, 15000, "gone"))("SAVEPOINT s2")("DELETE FROM public.items WHERE id < 10500");
    c("UPDATE public.items SET id = id + 1000000 WHERE id < 20100");
    b("RELEASE s2")("ROLLBACK TO s1")(rows(13001, 14000, "second try"));
    a("SELECT pg_catalog.pg_logical_emit_message(true, 'test', 'inside')");
    Session{cluster}("INSERT INTO public.other VALUES (1, 'meanwhile')");
    c("ROLLBACK");
    b("UPDATE public.items SET big = repeat('y', 3000) WHERE id BETWEEN 10001 AND 10100")("COMMIT");
    a("DELETE FROM public.items WHERE id % 7 = 0")("COMMIT");
    // Ten thousand subtransactions, half of them rolled back, some within others.
    a(R"(DO $$ BEGIN FOR i IN 1..10000 LOOP
           BEGIN
             INSERT INTO public.items VALUES (100000 + i, 'sub ' || i, repeat('z', 20));
             IF i % 10 = 0 THEN
               BEGIN UPDATE public.items SET name = 'inner ' || i WHERE id = 100000 + i; RAISE EXCEPTION 'inner';
               EXCEPTION WHEN raise_exception THEN NULL; END;
             END IF;
             IF i % 2 = 1 THEN RAISE EXCEPTION 'back'; END IF;
           EXCEPTION WHEN raise_exception THEN NULL; END;
         END LOOP; END $$)");
    // A large truncate, and DDL, inside.
    a("BEGIN")("INSERT INTO public.other SELECT i, repeat('o', 60) FROM generate_series(2, 3000) i")(
        "TRUNCATE public.other")("INSERT INTO public.other SELECT i, repeat('p', 60) FROM generate_series(1, 2000) i")(
        "COMMIT");
    a("BEGIN")(rows(30001, 32000))("SAVEPOINT d")("ALTER TABLE public.other ADD rolled_back int")(
        "UPDATE public.other SET rolled_back = 1 WHERE id > 1000")("ROLLBACK TO d")(rows(32001, 33000))(
        "ALTER TABLE public.items ADD extra int")(
        "INSERT INTO public.items SELECT i, 'with extra', 'b', i FROM generate_series(33001, 35000) i")("COMMIT");
}

TEST_F(StreamedAndWhole, GiveIdenticalTopics) // INV-CDC-2
{
    ASSERT_TRUE(start("streamed").wait_state("streaming"));
    work(cluster_);
    ASSERT_TRUE(drained());
    running_.reset();
    start("whole");
    ASSERT_TRUE(drained());
    running_.reset();

    EXPECT_TRUE(eventually([&] { return streamed_transactions("streamed") >= 5; }));
    EXPECT_EQ(streamed_transactions("whole"), 0);
    for (const char* name : {"items", "other"}) {
        const std::vector<std::string> streamed = records("streamed", name);
        const std::vector<std::string> whole = records("whole", name);
        ASSERT_EQ(streamed.size(), whole.size()) << name;
        EXPECT_GT(streamed.size(), 3'000U);
        for (std::size_t i = 0; i < whole.size(); ++i) {
            ASSERT_EQ(streamed[i], whole[i]) << name << ", record " << i;
        }
    }
    EXPECT_EQ(fold("streamed"), table());
}

/// PostgreSQL (15 at least) takes a catalog row that a rolled back subtransaction had changed for deleted when it sends the
/// transaction before it has read the change that was made instead: "could not map filenode".
TEST_F(StreamedAndWhole, WhatTheServerCannotStreamIsReadWhole)
{
    Session a(cluster_);
    a("BEGIN")(rows(1, 1000))("SAVEPOINT d")("ALTER TABLE public.items ADD rolled_back int")(
        "UPDATE public.items SET rolled_back = 1")("ROLLBACK TO d")(rows(1001, 3000))(
        "ALTER TABLE public.items ADD extra int")(
        "INSERT INTO public.items SELECT i, 'row ' || i, '', i FROM generate_series(3001, 4000) i")("COMMIT");
    start("streamed");
    EXPECT_TRUE(drained());
    a("INSERT INTO public.items VALUES (9999, 'after it')");
    EXPECT_TRUE(drained());
    EXPECT_EQ(fold("streamed"), table());
    EXPECT_EQ(table().size(), 4'001U);
}

TEST_F(StreamedAndWhole, AStreamThatBreaksInTheMiddleOfOpenTransactionsLosesNothing) // INV-CDC-1
{
    options_.max_transaction_memory = 100'000;
    ASSERT_TRUE(start("streamed").wait_state("streaming"));
    Session a(cluster_);
    Session b(cluster_);
    a("BEGIN")(rows(1, 3000));
    b("BEGIN")(rows(10001, 13000))("SAVEPOINT s")(rows(13001, 16000, "gone"));
    const auto open_are_streamed = [&] {
        return streamed_transactions("streamed") >= 2;
    };
    ASSERT_TRUE(eventually(open_are_streamed, std::chrono::seconds(30)));
    const auto break_off = [&] {
        return node_
                   ->query("SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots "
                           "WHERE slot_name = $1 AND active",
                           {reader("streamed").slot})
                   .rows() == 1;
    };
    ASSERT_TRUE(eventually(break_off));
    a("UPDATE public.items SET name = 'after the break' WHERE id <= 100");
    b("ROLLBACK TO s");
    // And across a restart, with one of them committed while nobody reads.
    ASSERT_TRUE(running_->wait_state("streaming"));
    running_.reset();
    a("COMMIT");
    start("streamed");
    ASSERT_TRUE(eventually(break_off));
    b("COMMIT");
    ASSERT_TRUE(drained());
    EXPECT_EQ(fold("streamed"), table());
    EXPECT_EQ(table().size(), 6'000U);
}

} // namespace
} // namespace keyshift::test
