/// A commit whose event is there before any snapshot shows it, since a synchronous standby is waited for. What the event does not
/// carry is read from the source: only once it is visible (INV-PRJ-1).

#include "core/backoff.hpp"
#include "core/json.hpp"
#include "projections/backfill.hpp"
#include "projections/batch_writer.hpp"
#include "projections/commands/settled_rows.hpp"
#include "projections/event_mapper.hpp"
#include "projections/projection_record.hpp"
#include "projections/projections.hpp"
#include "projections/stored_positions.hpp"
#include "tests/catalog/cluster.hpp"
#include "tests/support/private_postgres.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;

const char* const kByUser = "SELECT user_id, like_id, post_id, amount, content FROM public.likes";

class LateCommit : public testing::Test {
protected:
    LateCommit()
    {
        server_.script(
            "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, amount int, content text, "
            "PRIMARY KEY (post_id, like_id)); ALTER TABLE public.likes ALTER COLUMN content SET STORAGE EXTERNAL; "
            "INSERT INTO public.likes VALUES (1, 1, 7, 1, repeat('old', 1000))");
        catalog::add_node(cluster_.catalog(), {"n1", postgres_.conninfo(), "", false});
        cluster_.distribute("likes", {"post_id"}, {}, 4);
        projections::CreateRequest request;
        request.name = "by_user";
        request.key = {"user_id"};
        request.sql = kByUser;
        request.buckets = 4;
        request.apply = true;
        projections::create(cluster_.catalog(), request);
    }

    void set_standby(const std::string& setting)
    {
        server_.script("ALTER SYSTEM " + setting);
        server_.script("SELECT pg_reload_conf()");
    }
    /// Until the query gives "t" or the other thing is done.
    bool comes_true(const std::string& query, const std::atomic<bool>& or_done = false)
    {
        for (int tries = 0; tries < 1500; ++tries) {
            if (one(server_, query) == "t") {
                return true;
            }
            if (or_done) {
                return false;
            }
            sleep_for(20ms, {});
        }
        return false;
    }
    /// The change of a row's amount, whose content was in no tuple of the WAL.
    static kafka::Message updated(int like, const std::string& transaction, int seq)
    {
        kafka::Message message;
        const std::string n = std::to_string(like);
        message.key = R"({"post_id":)" + n + R"(,"like_id":)" + n + "}";
        message.value = R"({"before":null,"after":{"post_id":)" + n + R"(,"like_id":)" + n +
                        R"(,"user_id":7,"amount":2,"content":"__debezium_unavailable_value"},"source":{"txId":)" +
                        transaction + R"(},"op":"u"})";
        message.headers = {{"keyshift.origin", "n1/0"},
                           {"keyshift.position", "1/900000000000/" + std::to_string(seq)},
                           {"keyshift.absent", "after=content"}};
        return message;
    }

    Cluster cluster_;
    PrivatePostgres postgres_{{"wal_level = logical"}};
    pg::Connection server_{postgres_.settings("n1")};
};

/// Whether transactions that began later have ended.
class LateCommitBefore : public LateCommit, public testing::WithParamInterface<bool> {};

TEST_P(LateCommitBefore, WhatItsEventLacksIsReadOnceItIsVisible)
{
    const bool others = GetParam();
    set_standby("SET synchronous_standby_names = 'nobody'");
    std::jthread writing([&] {
        pg::Connection(postgres_.settings("n1"))
            .script("BEGIN; UPDATE public.likes SET content = repeat('new', 1000) WHERE like_id = 1; "
                    "INSERT INTO public.likes VALUES (2, 2, 7, 1, repeat('two', 1000)); "
                    "UPDATE public.likes SET amount = 2; COMMIT");
    });
    ASSERT_TRUE(comes_true("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"));
    const std::string transaction =
        one(server_, "SELECT backend_xid FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    if (others) {
        server_.script("SET synchronous_commit = local; CREATE TABLE public.other ()");
    }
    const projections::Definition definition = projections::read_projection(cluster_.catalog(), "by_user").definition;
    projections::Target target(cluster_.catalog().settings(), definition,
                               projections::Target::Progress::in_transaction);
    projections::EventMapper mapper(definition);
    std::vector<projections::RowChange> rows;
    for (const int like : {1, 2}) {
        auto mapped = std::get<std::vector<projections::RowChange>>(mapper.map(updated(like, transaction, like)));
        ASSERT_EQ(mapped.size(), 1U);
        rows.push_back(std::move(mapped.front()));
    }
    std::atomic<bool> done = false;
    std::jthread applying([&] {
        projections::BatchWriter(definition, target, 0).write({&rows[0], &rows[1]}, {}, {});
        done = true;
    });
    comes_true(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE '%projection by_user%' AND query LIKE '%public%likes%'",
        done);
    EXPECT_FALSE(done) << "it is read when no snapshot shows it";
    set_standby("RESET synchronous_standby_names");
    writing.join();
    applying.join();
    const std::string shown = "SELECT string_agg(r::text, ' ' ORDER BY like_id) FROM ";
    EXPECT_EQ(one(server_, shown + "public.by_user r"), one(server_, shown + "(" + kByUser + ") r"));
}

INSTANTIATE_TEST_SUITE_P(Others, LateCommitBefore, testing::Bool());

/// Its event may be before the offset at which the projection begins.
TEST_F(LateCommit, TheBackfillBeginsBehindIt)
{
    const projections::ProjectionRecord record = projections::read_projection(cluster_.catalog(), "by_user");
    projections::Target target(cluster_.catalog().settings(), record.definition,
                               projections::Target::Progress::in_transaction);
    const std::int64_t owner = projections::take_over(target, record);
    projections::anchor_progress(target, record.definition, {{{"topic", 0}, 0}}, owner);
    set_standby("SET synchronous_standby_names = 'nobody'");
    std::jthread writing([&] {
        pg::Connection(postgres_.settings("n1")).script("INSERT INTO public.likes VALUES (2, 2, 7, 1, 'two')");
    });
    ASSERT_TRUE(comes_true("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"));
    std::atomic<bool> done = false;
    std::jthread filling([&] {
        projections::Backfill(record, cluster_.catalog().settings(), owner, {100, 1, 10, 0}).run({}, {});
        done = true;
    });
    EXPECT_TRUE(
        comes_true("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE '%projection backfill%' AND "
                   "query LIKE '%pg_snapshot_xmin%'",
                   done));
    set_standby("RESET synchronous_standby_names");
    writing.join();
    filling.join();
    const std::string shown = "SELECT string_agg(r::text, ' ' ORDER BY like_id) FROM ";
    EXPECT_EQ(one(server_, shown + "public.by_user r"), one(server_, shown + "(" + kByUser + ") r"));
}

/// Else a repair's tombstone, whose version is later, would win over the row.
TEST_F(LateCommit, ARowIsGoneOnlyBehindIt)
{
    const projections::Definition definition = projections::read_projection(cluster_.catalog(), "by_user").definition;
    // A repair's own commits wait for no standby, nor does this one.
    server_.script("ALTER DATABASE postgres SET synchronous_commit = local");
    set_standby("SET synchronous_standby_names = 'nobody'");
    std::jthread writing([&] {
        pg::Connection connection(postgres_.settings("n1"));
        connection.script("SET synchronous_commit = on");
        connection.script("INSERT INTO public.likes VALUES (2, 2, 7, 1, 'two')");
    });
    ASSERT_TRUE(
        comes_true("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT%'"));
    std::atomic<bool> done = false;
    std::jthread reading([&] {
        pg::Connection catalog(cluster_.catalog().settings());
        const auto rows = projections::SettledRows(catalog, definition).read({R"(["2", "2"])"}, {});
        EXPECT_TRUE(rows.at(0).present);
        done = true;
    });
    EXPECT_TRUE(
        comes_true("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE '%projection repair%' AND "
                   "query LIKE '%pg_snapshot_xmin%'",
                   done));
    set_standby("RESET synchronous_standby_names");
    writing.join();
    reading.join();
}

/// Numbers of transactions begin anew after 2^32, and a server that was promoted may not have given away some that events name.
TEST_F(LateCommit, ATransactionOfLongAgoIsNotWaitedFor)
{
    const projections::Definition definition = projections::read_projection(cluster_.catalog(), "by_user").definition;
    projections::Target target(cluster_.catalog().settings(), definition,
                               projections::Target::Progress::in_transaction);
    projections::EventMapper mapper(definition);
    for (const char* transaction : {"3", "4294967295", "2147483648", "1000000"}) {
        server_.script("DELETE FROM keyshift.by_user__g1");
        auto rows = std::get<std::vector<projections::RowChange>>(mapper.map(updated(1, transaction, 0)));
        projections::BatchWriter(definition, target, 0).write({&rows.at(0)}, {}, {});
        EXPECT_EQ(one(server_, "SELECT content = repeat('old', 1000) FROM public.by_user"), "t") << transaction;
    }
}

} // namespace
} // namespace keyshift::test
