#include "core/pg/connection.hpp"

#include "tests/support/process.hpp"
#include "tests/support/tcp_proxy.hpp"
#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace keyshift::pg {
namespace {

using namespace std::chrono_literals;

TEST(Connection, SessionSettingsDoNotDependOnTheServer)
{
    const test::TestDatabase database;
    database.connect().script(fmt::format(
        "ALTER DATABASE {0} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {0} SET datestyle = 'German'; "
        "ALTER DATABASE {0} SET statement_timeout = '1min'; ALTER DATABASE {0} SET bytea_output = 'escape'; "
        "ALTER DATABASE {0} SET standard_conforming_strings = off",
        database.name()));
    Connection connection = database.connect("n1");
    const Result row = connection.query(
        "SELECT '2024-01-02 03:04:05.6+00'::timestamptz, '\\x01ff'::bytea, current_setting('search_path'), "
        "current_setting('statement_timeout'), current_setting('application_name')");
    EXPECT_EQ(row.text(0, 0), "2024-01-02 03:04:05.6+00");
    EXPECT_EQ(row.text(0, 1), "\\x01ff");
    EXPECT_EQ(row.text(0, 2), "pg_catalog");
    EXPECT_EQ(row.text(0, 3), "0");
    EXPECT_EQ(row.text(0, 4), "keyshift test");
    EXPECT_EQ(connection.server_version(), connection.query("SHOW server_version_num").integer(0, 0));
}

TEST(Connection, ParametersArePassedAsTheyAre)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    const std::string text = "it's; \"\\ \u00e9";
    const Result row = connection.query(
        "SELECT $1::text, $2::text IS NULL, octet_length($3::bytea), $4::bytea = ''",
        {text, std::nullopt, Parameter(std::string_view("a\0b", 3), 17), Parameter(std::string_view(), 17)});
    EXPECT_EQ(row.text(0, 0), text);
    EXPECT_TRUE(row.boolean(0, 1));
    EXPECT_EQ(row.integer(0, 2), 3);
    EXPECT_TRUE(row.boolean(0, 3)) << "empty bytes are no NULL";
    const Parameter number[] = {Parameter("20")};
    EXPECT_EQ(connection.run_prepared("half", "SELECT $1::int / 2", number).integer(0, 0), 10);
    EXPECT_EQ(connection.run_prepared("half", "SELECT $1::int / 2", number).integer(0, 0), 10);
}

TEST(Connection, ErrorsHaveThreePartsAndTheSqlState)
{
    const test::TestDatabase database;
    Connection connection = database.connect("n7");
    try {
        connection.query("SELECT * FROM public.missing");
        FAIL() << "no error";
    } catch (const SqlError& error) {
        EXPECT_EQ(error.sqlstate(), "42P01");
        EXPECT_NE(error.parts().what.find("on n7"), std::string::npos) << error.what();
        EXPECT_NE(error.parts().why.find("42P01"), std::string::npos) << error.what();
        EXPECT_FALSE(error.parts().next.empty());
    }
}

TEST(Connection, ErrorsShowNoValueOfARow)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    connection.script(
        "CREATE TABLE public.t (k text PRIMARY KEY, n int CHECK (n > 0)); INSERT INTO public.t VALUES ('secret-key', 1)");
    const std::string statements[] = {"INSERT INTO public.t VALUES ($1, 1)",
                                      "INSERT INTO public.t VALUES ($1, -1)",
                                      "SELECT $1::text::int",
                                      "SELECT $1::text::date",
                                      "SELECT $1::text::uuid",
                                      "SELECT $1::text::jsonb"};
    for (const std::string& sql : statements) {
        try {
            connection.query(sql, {"secret-key"});
            ADD_FAILURE() << "no error: " << sql;
        } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
        }
    }
}

TEST(Connection, LostOnesAreTransientAndKeepTheServersReason)
{
    const test::TestDatabase database;
    Connection victim = database.connect();
    Connection other = database.connect();
    other.query("SELECT pg_terminate_backend($1::int)", {std::to_string(victim.backend_pid())});
    std::string sqlstate;
    try {
        victim.query("SELECT pg_sleep(30)");
        FAIL() << "no error";
    } catch (const TransientSqlError& error) {
        sqlstate = error.sqlstate();
    }
    EXPECT_EQ(sqlstate, "57P01");
    EXPECT_THROW(victim.query("SELECT 1"), TransientSqlError);
}

TEST(Connection, AStatementWithoutAnAnswerEndsAtTheLimit)
{
    const test::TestDatabase database;
    test::TcpProxy proxy(database.port());
    ConnectionSettings settings = database.settings("n1");
    settings.conninfo = fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", proxy.port(), database.name());
    settings.answer_limit = 2s;
    Connection connection(settings);
    EXPECT_EQ(connection.query("SELECT 7").integer(0, 0), 7);
    proxy.freeze();
    try {
        connection.query("SELECT 8");
        FAIL() << "nothing can answer";
    } catch (const TransientSqlError& error) {
        EXPECT_EQ(error.sqlstate(), "08006");
        EXPECT_NE(error.parts().why.find("has not answered for 2 s"), std::string::npos) << error.parts().why;
    }
    EXPECT_THROW(connection.query("SELECT 9"), TransientSqlError) << "an answer may be on its way: not used again";
}

TEST(Connection, CancelFromAnotherThreadEndsTheStatement)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    Connection watcher = database.connect();
    const std::string pid = std::to_string(connection.backend_pid());
    std::jthread canceller([&] {
        while (
            watcher.query("SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int AND wait_event = 'PgSleep'", {pid})
                .integer(0, 0) == 0) {
        }
        connection.cancel();
    });
    try {
        connection.query("SELECT pg_sleep(60)");
        ADD_FAILURE() << "not cancelled";
    } catch (const TransientSqlError& error) {
        EXPECT_EQ(error.sqlstate(), "57014");
    }
    canceller.join();
    EXPECT_EQ(connection.query("SELECT 1").integer(0, 0), 1);
}

TEST(Transaction, RollsBackUnlessCommitted)
{
    const test::TestDatabase database;
    Connection connection = database.connect();
    connection.script("CREATE TABLE public.t (k int)");
    {
        const Transaction transaction(connection);
        connection.query("INSERT INTO public.t VALUES (1)");
        EXPECT_TRUE(connection.in_transaction());
    }
    EXPECT_FALSE(connection.in_transaction());
    {
        Transaction transaction(connection, Transaction::Isolation::repeatable_read);
        EXPECT_EQ(connection.query("SELECT current_setting('transaction_isolation')").text(0, 0), "repeatable read");
        connection.query("INSERT INTO public.t VALUES (2)");
        transaction.commit();
    }
    EXPECT_EQ(connection.query("SELECT string_agg(k::text, ',') FROM public.t").text(0, 0), "2");
}

TEST(Notifications, AreDeliveredAndWaitingEndsOnStop)
{
    const test::TestDatabase database;
    Connection listener = database.connect();
    Connection speaker = database.connect();
    listener.script("LISTEN keyshift_catalog");
    EXPECT_EQ(listener.wait_notify(0ms, {}), std::nullopt);
    speaker.script("NOTIFY keyshift_catalog, 'job 7'; NOTIFY keyshift_catalog, 'job 8'");
    EXPECT_EQ(listener.wait_notify(30s, {}), "job 7");
    EXPECT_EQ(listener.wait_notify(30s, {}), "job 8");
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_EQ(listener.wait_notify(24h, stop.get_token()), std::nullopt);
}

TEST(Notifications, ALostConnectionIsNoticedWhileWaiting)
{
    const test::TestDatabase database;
    Connection listener = database.connect();
    listener.script("LISTEN keyshift_catalog");
    database.connect().query("SELECT pg_terminate_backend($1::int)", {std::to_string(listener.backend_pid())});
    try {
        listener.wait_notify(30s, {});
        FAIL() << "not noticed";
    } catch (const TransientSqlError& error) {
        EXPECT_EQ(error.sqlstate(), "57P01") << "a shutdown must be told from a network fault (INV-OPS-3)";
    }
}

TEST(Connection, UnreachableServersAreNamedWithHostAndPort)
{
    const int port = test::free_port();
    try {
        Connection({"n2", fmt::format("host=127.0.0.1 port={} dbname=app user=postgres", port), "", "test"});
        FAIL() << "connected";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::unreachable);
        EXPECT_NE(error.parts().what.find(fmt::format("n2 at 127.0.0.1:{}", port)), std::string::npos) << error.what();
        EXPECT_FALSE(error.parts().next.empty());
    }
}

} // namespace
} // namespace keyshift::pg
