// A snapshot of many chunks by the program itself, killed in the middle while its table is written to.
#include "tests/e2e/fold.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace keyshift::test {
namespace {

constexpr int kRows = 60'000;

TEST(Snapshot, GoesOnAfterASigkillWhereItWasAndTheFoldIsTheTable)
{
    Installation installation;
    installation.set_up();
    pg::Connection connection = installation.connect();
    connection.script("CREATE TABLE public.notes (user_id int PRIMARY KEY, note text)");
    connection.query("INSERT INTO public.notes SELECT i, repeat('n', 300) FROM generate_series(1, $1::int) i",
                     {std::to_string(kRows)});
    installation.must({"table", "capture", "notes"});
    installation.start_daemon({{"KEYSHIFT_FAILPOINTS", "cdc.snapshot.chunk=kill@2"}});
    {
        const std::jthread writer([&](std::stop_token stop) {
            pg::Connection own = installation.connect();
            for (int i = 0; !stop.stop_requested(); ++i) {
                own.query("UPDATE public.notes SET note = $2 WHERE user_id = $1::int",
                          {std::to_string(1 + i * 7919 % kRows), "changed " + std::to_string(i)});
            }
        });
        ASSERT_EQ(installation.daemon().wait(std::chrono::seconds(60)), 128 + SIGKILL);
        EXPECT_NE(installation.daemon().output().find("failpoint cdc.snapshot.chunk fired"), std::string::npos);
        const auto had = connection.query("SELECT rows FROM keyshift.snapshot").integer(0, 0);
        EXPECT_GT(had, 0);
        EXPECT_LT(had, kRows);
        installation.start_daemon();
        ASSERT_TRUE(comes_true(
            [&] { return connection.query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0; }, 60));
        const auto rows = connection.query("SELECT rows FROM keyshift.snapshot").integer(0, 0);
        EXPECT_LT(rows, kRows + had) << "what was saved is not read again";
    }
    // What the writer did last may still be on its way.
    const Lsn end = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    ASSERT_TRUE(comes_true(
        [&] {
            return connection
                       .query("SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE database = "
                              "pg_catalog.current_database()")
                       .lsn(0, 0) >= end;
        },
        60));
    ASSERT_EQ(installation.stop_daemon(), 0);
    const Fold fold = fold_topic(installation, "notes");
    EXPECT_EQ(fold.backward, 0);
    std::map<std::string, std::string> table;
    const pg::Result all = connection.query("SELECT user_id, row_to_json(t)::text FROM public.notes t");
    for (int row = 0; row < all.rows(); ++row) {
        table.emplace(R"({"user_id":)" + std::string(all.text(row, 0)) + "}",
                      nlohmann::json::parse(all.text(row, 1)).dump());
    }
    EXPECT_EQ(fold.rows, table);
}

} // namespace
} // namespace keyshift::test
