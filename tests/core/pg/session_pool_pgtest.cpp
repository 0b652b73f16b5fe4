#include "core/pg/session_pool.hpp"

#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace keyshift::pg {
namespace {

ConnectionSettings named(const test::TestDatabase& database, const std::string& purpose)
{
    ConnectionSettings settings = database.settings("n1");
    settings.purpose = purpose;
    return settings;
}

TEST(SessionPool, AKeptSessionIsAsANewOneUnderItsNewName)
{
    const test::TestDatabase database;
    SessionPool pool;
    Connection first = pool.take(named(database, "move 7 fence"));
    const int pid = first.backend_pid();
    first.script(
        "SET statement_timeout = '1h'; SET lock_timeout = '1ms'; SET search_path = public; SET timezone = 'Asia/Tokyo'; "
        "SET synchronous_commit = off; SET keyshift.mover = 'token'");
    pool.give_back(std::move(first));
    Connection second = pool.take(named(database, "move 8 main"));
    EXPECT_EQ(second.backend_pid(), pid);
    const Result row = second.query(
        "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('search_path'), "
        "current_setting('timezone'), current_setting('synchronous_commit'), current_setting('keyshift.mover'), "
        "current_setting('application_name'), current_setting('keyshift.map')");
    EXPECT_EQ(row.text(0, 0), "0");
    EXPECT_EQ(row.text(0, 1), "0");
    EXPECT_EQ(row.text(0, 2), "pg_catalog");
    EXPECT_EQ(row.text(0, 3), "UTC");
    EXPECT_EQ(row.text(0, 4), "on");
    EXPECT_EQ(row.text(0, 5), "");
    EXPECT_EQ(row.text(0, 6), "keyshift move 8 main");
    EXPECT_EQ(row.text(0, 7), "any");
}

TEST(SessionPool, NoSessionIsTakenTwice)
{
    const test::TestDatabase database;
    SessionPool pool;
    pool.give_back(pool.take(named(database, "one")));
    const Connection first = pool.take(named(database, "two"));
    const Connection second = pool.take(named(database, "three"));
    EXPECT_NE(first.backend_pid(), second.backend_pid());
}

TEST(SessionPool, KeepsNoneThatIsInATransactionAndNoneForAnotherServer)
{
    const test::TestDatabase database;
    const test::TestDatabase other;
    SessionPool pool;
    Connection open = pool.take(named(database, "open"));
    const int pid = open.backend_pid();
    open.script("BEGIN");
    pool.give_back(std::move(open));
    Connection next = pool.take(named(database, "next"));
    EXPECT_NE(next.backend_pid(), pid);
    pool.give_back(std::move(next));
    Connection elsewhere = pool.take(named(other, "elsewhere"));
    EXPECT_EQ(elsewhere.query("SELECT current_database()").text(0, 0), other.name());
}

TEST(SessionPool, OneThatTheServerHasEndedIsReplaced)
{
    const test::TestDatabase database;
    SessionPool pool;
    Connection kept = pool.take(named(database, "kept"));
    const std::string pid = std::to_string(kept.backend_pid());
    pool.give_back(std::move(kept));
    Connection other = database.connect();
    EXPECT_EQ(other.query("SELECT application_name FROM pg_stat_activity WHERE pid = $1", {pid}).text(0, 0),
              "keyshift kept session");
    other.query("SELECT pg_terminate_backend($1, 10000)", {pid});
    Connection next = pool.take(named(database, "next"));
    EXPECT_EQ(next.query("SELECT 1").integer(0, 0), 1);
}

} // namespace
} // namespace keyshift::pg
