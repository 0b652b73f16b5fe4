#include "core/pg/replication_connection.hpp"

#include "tests/support/private_postgres.hpp"
#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace keyshift::pg {
namespace {

using namespace std::chrono_literals;

/// A table, its publication and a slot in a database of their own.
class Replication : public testing::Test {
protected:
    Replication() : sql_(database_.connect("n1")), slot_(test::unique_name("slot"))
    {
        sql_.script(
            "CREATE TABLE public.t (k int PRIMARY KEY, at timestamptz); CREATE PUBLICATION \"Odd \"\"name\" FOR TABLE public.t");
        sql_.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", {slot_});
    }

    /// Payloads of the next `count` WAL messages; keepalives are answered.
    std::vector<std::string> receive(ReplicationConnection& stream, std::size_t count)
    {
        std::vector<std::string> payloads;
        const auto give_up = std::chrono::steady_clock::now() + 30s;
        while (payloads.size() < count && std::chrono::steady_clock::now() < give_up) {
            const ReplicationConnection::Received next = stream.try_receive();
            if (next.message) {
                payloads.emplace_back(next.message->payload);
                last_ = std::max(last_, next.message->start);
            } else if (next.keepalive && next.keepalive->reply_requested) {
                stream.send_status(last_, {});
            } else if (!next.keepalive) {
                stream.wait_readable(100ms);
            }
        }
        return payloads;
    }

    Lsn confirmed()
    {
        return sql_.query("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1", {slot_})
            .lsn(0, 0);
    }

    test::TestDatabase database_;
    Connection sql_;
    std::string slot_;
    Lsn last_;
};

TEST_F(Replication, StreamsAChangeAndAMessagePrintedByOurOwnSessionSettings)
{
    sql_.script(fmt::format("ALTER DATABASE {} SET timezone = 'Asia/Tokyo'", database_.name()));
    ReplicationConnection stream(database_.settings("n1"));
    EXPECT_GE(stream.identify().timeline, 1U);
    EXPECT_EQ(stream.identify().system_identifier,
              sql_.query("SELECT system_identifier FROM pg_control_system()").text(0, 0));
    stream.start(slot_, "Odd \"name", {});
    sql_.query("INSERT INTO public.t VALUES (7, '2024-01-02 03:04:05+00')");
    const std::vector<std::string> change = receive(stream, 4);
    ASSERT_EQ(change.size(), 4U);
    EXPECT_EQ(change[0][0], 'B');
    EXPECT_EQ(change[1][0], 'R');
    EXPECT_EQ(change[2][0], 'I');
    EXPECT_NE(change[2].find("2024-01-02 03:04:05+00"), std::string::npos)
        << "the text depends on the server's time zone";
    EXPECT_EQ(change[3][0], 'C');
    sql_.query("SELECT pg_logical_emit_message(true, 'keyshift', '{}')");
    const std::vector<std::string> message = receive(stream, 3);
    ASSERT_EQ(message.size(), 3U);
    EXPECT_EQ(message[1][0], 'M');
    stream.finish();
}

TEST_F(Replication, ConfirmsExactlyWhatWasSaidToBeFlushed) // INV-CDC-1
{
    ReplicationConnection stream(database_.settings("n1"));
    stream.start(slot_, "Odd \"name", {});
    sql_.query("INSERT INTO public.t VALUES (1, NULL)");
    ASSERT_EQ(receive(stream, 4).size(), 4U);
    const Lsn before = confirmed();
    const Lsn end = sql_.query("SELECT pg_current_wal_lsn()").lsn(0, 0);
    stream.send_status(end, before);
    stream.send_status(end, end);
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (confirmed() != end && std::chrono::steady_clock::now() < give_up) {
        stream.wait_readable(10ms);
        stream.try_receive();
    }
    EXPECT_EQ(confirmed(), end);
    stream.finish();
}

TEST_F(Replication, ASlotWithAnotherReaderIsATransientError)
{
    ReplicationConnection first(database_.settings("n1"));
    first.start(slot_, "Odd \"name", {});
    ReplicationConnection second(database_.settings("n1"));
    try {
        second.start(slot_, "Odd \"name", {});
        FAIL() << "two readers";
    } catch (const TransientSqlError& error) {
        EXPECT_EQ(error.sqlstate(), "55006");
        EXPECT_NE(error.parts().what.find(slot_), std::string::npos);
    }
    first.finish();
}

TEST_F(Replication, AMissingSlotIsAFatalErrorThatNamesIt)
{
    ReplicationConnection stream(database_.settings("n1"));
    try {
        stream.start("no_such_slot", "Odd \"name", {});
        FAIL() << "started";
    } catch (const SqlError& error) {
        EXPECT_EQ(error.sqlstate(), "42704");
        EXPECT_NE(std::string(error.what()).find("no_such_slot"), std::string::npos);
    }
}

TEST_F(Replication, WaitingEndsWhenTheWakeDescriptorIsReady)
{
    ReplicationConnection stream(database_.settings("n1"));
    stream.start(slot_, "Odd \"name", {});
    const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    std::jthread waker([&] { ::eventfd_write(wake, 1); });
    while (stream.wait_readable(24h, wake)) {
        stream.try_receive();
    }
    waker.join();
    ::close(wake);
    stream.finish();
}

TEST(ReplicationShutdown, AFastShutdownEndsTheStreamWithATransientError) // INV-OPS-3
{
    test::PrivatePostgres server;
    Connection sql(server.settings("n1"));
    sql.script("CREATE TABLE public.t (k int); CREATE PUBLICATION p FOR TABLE public.t");
    sql.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
    ReplicationConnection stream(server.settings("n1"));
    stream.start("s", "p", {});
    std::jthread stopper([&] { server.stop("fast"); });
    Lsn end;
    const auto give_up = std::chrono::steady_clock::now() + 60s;
    EXPECT_THROW(
        {
            while (std::chrono::steady_clock::now() < give_up) {
                const auto next = stream.try_receive();
                if (next.keepalive) {
                    end = std::max(end, next.keepalive->server_end);
                    stream.send_status(end, end);
                } else if (!next.message) {
                    stream.wait_readable(100ms);
                }
            }
        },
        TransientError);
}

} // namespace
} // namespace keyshift::pg
