#include "tests/daemon/installation.hpp"

#include "core/change_event.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using Rows = std::map<std::string, std::string>;

/// The daemon is the real program; the topic's fold must be the table whatever happens to it.
class CaptureFaults : public testing::Test {
protected:
    CaptureFaults() : node_((installation_.set_up(), installation_.connect()))
    {
        node_.script("CREATE TABLE public.log (id bigint PRIMARY KEY, line text);"
                     "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', "
                     "current_database()); END $$");
        installation_.must({"table", "capture", "log"});
        // No snapshot: only the stream brings rows.
        node_.script("UPDATE keyshift.snapshot SET state = 'done'");
    }

    /// Small transactions, one that is large, one that is rolled back.
    void work()
    {
        const int begin = next_;
        next_ += 10'000;
        for (int i = 0; i < 50; ++i) {
            node_.script(
                fmt::format("INSERT INTO public.log VALUES ({0}, 'line'); UPDATE public.log SET line = 'again {0}' "
                            "WHERE id = {1}",
                            begin + i, begin + i / 2));
        }
        node_.script(fmt::format("INSERT INTO public.log SELECT i, repeat('x', 60) FROM generate_series({}, {}) i",
                                 begin + 1'000, begin + 4'000));
        node_.script(fmt::format("BEGIN; UPDATE public.log SET line = 'never' WHERE id >= {}; ROLLBACK", begin));
        node_.script(fmt::format("DELETE FROM public.log WHERE id BETWEEN {} AND {}", begin + 10, begin + 19));
        node_.script(fmt::format("INSERT INTO public.log VALUES ({}, 'last')", begin + 9'999));
    }
    bool in_topic(const std::string& key) const { return fold().contains(key); }
    /// The last event of each key, by id.
    Rows fold() const
    {
        Rows rows;
        std::map<std::string, SourcePosition> newest;
        for (const kafka::Message& message : read_topic(installation_.servers().kafka(), topic())) {
            if (!message.value) {
                continue;
            }
            const auto event = nlohmann::json::parse(*message.value);
            const std::string id = nlohmann::json::parse(*message.key).at("id").dump();
            if (event.at("after").is_null()) {
                rows.erase(id);
            } else {
                rows[id] = event.at("after").at("line");
            }
        }
        return rows;
    }
    Rows table()
    {
        Rows rows;
        const pg::Result all = node_.query("SELECT id, line FROM public.log");
        for (int row = 0; row < all.rows(); ++row) {
            rows[std::string(all.text(row, 0))] = all.text(row, 1);
        }
        return rows;
    }
    std::string topic() const { return installation_.prefix() + ".public.log"; }
    bool drained()
    {
        return comes_true(
            [&] {
                return node_
                    .query(
                        "SELECT bool_and(confirmed_flush_lsn >= $1::pg_lsn) FROM pg_replication_slots WHERE database = "
                        "current_database()",
                        {end_})
                    .boolean(0, 0);
            },
            60);
    }
    void note_end() { end_ = node_.query("SELECT pg_current_wal_lsn()").text(0, 0); }
    int readers()
    {
        return static_cast<int>(
            node_.query("SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND active")
                .integer(0, 0));
    }

    Installation installation_;
    pg::Connection node_;
    int next_ = 0;
    std::string end_;
};

TEST_F(CaptureFaults, SigkillAtEachFailpointLosesNothing) // INV-CDC-1
{
    for (const char* name :
         {"cdc.receive", "cdc.spool", "cdc.encode", "cdc.produce", "cdc.acknowledge", "cdc.confirm"}) {
        // So late that the daemon is ready by then: heartbeats pass by receive and confirm.
        const std::string kind = name;
        installation_.start_daemon({{"KEYSHIFT_FAILPOINTS", fmt::format("{}=kill@{}", name,
                                                                        kind == "cdc.receive"   ? 2'000
                                                                        : kind == "cdc.confirm" ? 60
                                                                                                : 150)}});
        work();
        note_end();
        ASSERT_EQ(installation_.daemon().wait(60s), 128 + SIGKILL) << name;
        ASSERT_NE(installation_.daemon().output().find(fmt::format("failpoint {} fired", name)), std::string::npos);
        installation_.start_daemon();
        ASSERT_TRUE(drained()) << name;
        ASSERT_EQ(fold(), table()) << name;
        ASSERT_EQ(installation_.stop_daemon(), 0);
    }
}

TEST_F(CaptureFaults, SigtermUnderLoadFlushesAllThatWasReadAndEndsInTime)
{
    installation_.start_daemon();
    std::jthread load([this](std::stop_token stop) {
        pg::Connection writer = installation_.connect();
        for (int i = 1; !stop.stop_requested(); ++i) {
            writer.query("INSERT INTO public.log VALUES ($1::bigint, 'under load')", {std::to_string(i)});
        }
    });
    ASSERT_TRUE(comes_true([&] { return in_topic("500"); }, 60));
    installation_.daemon().signal(SIGTERM);
    EXPECT_EQ(installation_.daemon().wait(10s), 0) << installation_.daemon().output();
    load.request_stop();
    load.join();
    installation_.start_daemon();
    note_end();
    ASSERT_TRUE(drained());
    std::set<std::string> positions;
    std::size_t records = 0;
    for (const kafka::Message& message : read_topic(installation_.servers().kafka(), topic())) {
        positions.emplace(message.header(kHeaderPosition).value_or(""));
        ++records;
    }
    EXPECT_EQ(records, positions.size()) << "nothing that was read was left unconfirmed and sent again";
    EXPECT_EQ(fold(), table());
}

TEST_F(CaptureFaults, SigstopBeyondTheServersPatienceLosesNothing)
{
    node_.script(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_sender_timeout = ''2s''', current_database()); END $$");
    installation_.start_daemon();
    work();
    ASSERT_TRUE(comes_true([&] { return in_topic("9999"); }));
    installation_.daemon().signal(SIGSTOP);
    work();
    EXPECT_TRUE(comes_true([&] { return readers() == 0; }, 60)) << "the server has ended the stream";
    installation_.daemon().signal(SIGCONT);
    note_end();
    ASSERT_TRUE(drained());
    EXPECT_EQ(fold(), table());
    // And a shorter one, which it does not notice.
    node_.script(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_sender_timeout = ''60s''', current_database()); END $$");
    ASSERT_TRUE(comes_true([&] { return readers() == 1; }));
    installation_.daemon().signal(SIGSTOP);
    work();
    installation_.daemon().signal(SIGCONT);
    note_end();
    ASSERT_TRUE(drained());
    EXPECT_EQ(fold(), table());
    EXPECT_EQ(installation_.stop_daemon(), 0);
}

TEST_F(CaptureFaults, AWalsenderThatIsKilledAgainAndAgainLosesNothing)
{
    installation_.start_daemon();
    for (int round = 0; round < 5; ++round) {
        work();
        EXPECT_TRUE(comes_true([&] {
            return node_
                       .query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                              "WHERE database = current_database() AND active")
                       .rows() == 1;
        }));
    }
    note_end();
    ASSERT_TRUE(drained());
    EXPECT_EQ(fold(), table());
}

/// Most memory that the process ever had resident, in bytes.
[[maybe_unused]] std::size_t peak_resident(pid_t pid)
{
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    std::string word;
    std::size_t kilobytes = 0;
    while (status >> word) {
        if (word == "VmHWM:") {
            status >> kilobytes;
        }
    }
    return kilobytes * 1024;
}

TEST_F(CaptureFaults, AHugeTransactionWaitsOnDiskAndNotInMemory) // INV-OPS-1
{
    installation_.start_daemon(
        {{"KEYSHIFT_CDC__MAX_TRANSACTION_MEMORY", "4MiB"}, {"KEYSHIFT_CDC__SPOOL_DIRECTORY", "/tmp"}});
    node_.script("INSERT INTO public.log SELECT i, repeat('x', 200) FROM generate_series(1, 300000) i");
    note_end();
    ASSERT_TRUE(drained());
    std::set<std::string> keys;
    for (const kafka::Message& message : read_topic(installation_.servers().kafka(), topic())) {
        keys.insert(message.key.value_or(""));
    }
    EXPECT_EQ(keys.size(), 300'000U);
    EXPECT_TRUE(comes_true([&] {
        return node_
                   .query(
                       "SELECT sum(stream_bytes) FROM pg_stat_replication_slots s JOIN pg_replication_slots r USING (slot_name) "
                       "WHERE r.database = current_database()")
                   .integer(0, 0) > 60'000'000;
    })) << "it came while it was open";
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they keep freed memory
    EXPECT_LT(peak_resident(installation_.daemon().pid()), (4U << 20U) + 150'000'000U);
#endif
}

} // namespace
} // namespace keyshift::test
