#include "core/pg/connection.hpp"

#include "tests/support/test_servers.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace keyshift::pg {
namespace {

using namespace std::chrono_literals;

TEST(Copy, MovesEveryRowUnchangedInTextAndBinary)
{
    const test::TestDatabase database;
    Connection donor = database.connect();
    Connection recipient = database.connect();
    donor.script(
        "CREATE TABLE public.a (k int, t text, b bytea, j jsonb); CREATE TABLE public.b (LIKE public.a); "
        "INSERT INTO public.a SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE E'tab\\t line\\n back\\\\ ' || i END, "
        "decode(md5(i::text), 'hex'), jsonb_build_object('i', i) FROM generate_series(1, 20000) i");
    for (const std::string format : {"text", "binary"}) {
        recipient.script("TRUNCATE public.b");
        recipient.copy_in_begin("COPY public.b FROM STDIN (FORMAT " + format + ")");
        const std::int64_t out = donor.copy_out("COPY public.a TO STDOUT (FORMAT " + format + ")",
                                                [&](std::string_view bytes) { recipient.copy_in_put(bytes); });
        EXPECT_EQ(out, 20000);
        EXPECT_EQ(recipient.copy_in_end(), 20000);
        EXPECT_EQ(recipient.query("SELECT count(*) FROM (TABLE public.a EXCEPT TABLE public.b) d").integer(0, 0), 0)
            << format;
    }
}

TEST(Copy, WhatTheTakerThrowsPassesOnAndTheConnectionStaysUsable)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    EXPECT_THROW(connection.copy_out("COPY (SELECT generate_series(1, 10000000)) TO STDOUT",
                                     [](std::string_view) {
                                         throw TransientError({"full", "disk", "free"});
                                     }),
                 TransientError);
    EXPECT_EQ(connection.query("SELECT 1").integer(0, 0), 1);
}

TEST(Copy, StopEndsACopyThatSendsAndOneThatIsSilent)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    for (const char* sql :
         {"COPY (SELECT generate_series(1, 2000000000)) TO STDOUT", "COPY (SELECT pg_sleep(600)) TO STDOUT",
          "COPY (SELECT pg_sleep(i) FROM generate_series(0, 600, 600) i) TO STDOUT"}) {
        std::stop_source stop;
        std::jthread stopper([&] {
            Connection watcher = database.connect();
            while (watcher
                       .query("SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int AND state = 'active'",
                              {std::to_string(connection.backend_pid())})
                       .integer(0, 0) == 0) {
            }
            stop.request_stop();
        });
        try {
            connection.copy_out(
                sql, [](std::string_view) {}, stop.get_token());
            ADD_FAILURE() << "not stopped: " << sql;
        } catch (const TransientSqlError& error) {
            EXPECT_EQ(error.sqlstate(), "57014");
        }
        EXPECT_EQ(connection.query("SELECT 1").integer(0, 0), 1);
    }
}

TEST(Copy, StopEndsACopyInThatTheServerHoldsUp)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    Connection blocker = database.connect();
    connection.script("CREATE TABLE public.t (k int PRIMARY KEY)");
    const Transaction open(blocker);
    blocker.query("INSERT INTO public.t VALUES (1)");
    connection.copy_in_begin("COPY public.t FROM STDIN");
    connection.copy_in_put("1\n");
    std::stop_source stop;
    std::jthread stopper([&] {
        Connection watcher = database.connect();
        while (watcher
                   .query("SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int AND wait_event_type = 'Lock'",
                          {std::to_string(connection.backend_pid())})
                   .integer(0, 0) == 0) {
        }
        stop.request_stop();
    });
    try {
        connection.copy_in_end(stop.get_token());
        ADD_FAILURE() << "not stopped";
    } catch (const TransientSqlError& error) {
        EXPECT_EQ(error.sqlstate(), "57014");
    }
    EXPECT_EQ(connection.query("SELECT count(*) FROM public.t").integer(0, 0), 0);
}

TEST(Copy, PutRefusesOnceStopWasRequested)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    connection.script("CREATE TABLE public.t (k int)");
    connection.copy_in_begin("COPY public.t FROM STDIN");
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(connection.copy_in_put("1\n", stop.get_token()), TransientSqlError);
    EXPECT_EQ(connection.query("SELECT count(*) FROM public.t").integer(0, 0), 0);
}

TEST(Copy, AbortLeavesNoRowAndAFailedOneSaysWhy)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    connection.script("CREATE TABLE public.t (k int PRIMARY KEY)");
    connection.copy_in_begin("COPY public.t FROM STDIN");
    connection.copy_in_put("1\n2\n");
    connection.copy_in_abort("given up");
    EXPECT_EQ(connection.query("SELECT count(*) FROM public.t").integer(0, 0), 0);
    connection.copy_in_begin("COPY public.t FROM STDIN");
    connection.copy_in_put("1\n1\n");
    try {
        connection.copy_in_end();
        ADD_FAILURE() << "no error";
    } catch (const SqlError& error) {
        EXPECT_EQ(error.sqlstate(), "23505");
    }
    EXPECT_EQ(connection.query("SELECT count(*) FROM public.t").integer(0, 0), 0);
}

} // namespace
} // namespace keyshift::pg
