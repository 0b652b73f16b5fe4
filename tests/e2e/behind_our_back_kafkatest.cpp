// Corner 10 of a move: whatever is done to a bucket's tables in whatever way while it moves reaches the recipient or is refused.
#include "tests/daemon/installation.hpp"
#include "tests/e2e/fold.hpp"
#include "tests/resharder/placement_queries.hpp"

#include "core/error.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

std::string one(pg::Connection& connection, const std::string& sql)
{
    const pg::Result rows = connection.query(sql);
    return rows.rows() == 0 ? std::string("no row") : std::string(rows.text(0, 0));
}

std::string sqlstate_of(const std::function<void()>& act)
{
    try {
        act();
    } catch (const pg::SqlError& error) {
        return error.sqlstate();
    }
    return {};
}

void copy(pg::Connection& node, const std::string& table, const std::string& rows)
{
    node.copy_in_begin("COPY " + table + " FROM STDIN");
    node.copy_in_put(rows);
    node.copy_in_end();
}

/// Bucket 1 moves from n1 to n2 and stops where the test wants.
class BehindOurBack : public testing::Test {
protected:
    BehindOurBack()
    {
        installation_.set_up();
        installation_.connect().script(
            "CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text);"
            "CREATE TABLE public.notes (user_id bigint, note_id bigint, PRIMARY KEY (user_id, note_id));"
            "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, 400) i;"
            "INSERT INTO public.notes SELECT i, i FROM generate_series(1, 400) i");
        installation_.add_node(2);
        installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
        installation_.must({"table", "distribute", "notes", "--key", "user_id", "--with", "users", "--offline"});
        std::string stops;
        for (const char* place : {"move.copy.chunk", "move.attached.persisted", "move.fenced.persisted"}) {
            stops += fmt::format("{}=wait:{}/{};", place, installation_.directory().path(), place);
        }
        installation_.start_daemon({{"KEYSHIFT_FAILPOINTS", stops}});
        await("SELECT bool_and(state = 'done')::int FROM keyshift.snapshot");
    }

    void await(const std::string& sql)
    {
        pg::Connection catalog = installation_.connect();
        ASSERT_TRUE(comes_true([&] { return one(catalog, sql) == "1"; }, 90)) << sql << installation_.daemon().output();
    }

    void await_stop(const std::string& place)
    {
        ASSERT_TRUE(comes_true(
            [&] { return installation_.daemon().output().find(place + " fired") != std::string::npos; }, 90));
    }

    void go_on(const std::string& place) { installation_.directory().write(place, ""); }

    /// "...,..." of the first keys from `from` on that are in the bucket.
    std::vector<std::string> keys(int from, int bucket = 1)
    {
        pg::Connection node = installation_.connect();
        const pg::Result rows = node.query(
            fmt::format("SELECT i FROM generate_series({0}, {0} + 400) i WHERE keyshift.bucket_of('public.users', "
                        "i::text) = {1} ORDER BY i LIMIT 12",
                        from, bucket));
        std::vector<std::string> found;
        for (int row = 0; row < rows.rows(); ++row) {
            found.emplace_back(rows.text(row, 0));
        }
        return found;
    }

    /// Each way to write that there is, on the node that has the bucket.
    void write_in_every_way(int from, bool truncate = true)
    {
        const std::vector<std::string> key = keys(from);
        pg::Connection node = installation_.connect();
        pg::Connection administrator = installation_.database().connect_superuser();
        administrator.script("SET session_replication_role = replica");
        node.script(fmt::format("INSERT INTO public.users_b1 VALUES ({}, 'leaf'), ({}, 'leaf');"
                                "UPDATE public.users_b1 SET name = 'leaf changed' WHERE user_id = {};"
                                "DELETE FROM public.users_b1 WHERE user_id = {}",
                                key[0], key[1], key[0], key[1]));
        copy(node, "public.users", key[2] + "\tcopied\n");
        copy(node, "public.users_b1", key[3] + "\tcopied to the leaf\n");
        administrator.script(fmt::format("INSERT INTO public.users_b1 VALUES ({}, 'replica'), ({}, 'replica');"
                                         "UPDATE public.users SET name = 'replica changed' WHERE user_id = {};"
                                         "DELETE FROM public.users WHERE user_id = {}",
                                         key[4], key[5], key[4], key[5]));
        copy(administrator, "public.users_b1", key[6] + "\treplica copied\n");
        node.script(fmt::format(
            "MERGE INTO public.users u USING (VALUES ({}), ({})) v(id) ON u.user_id = v.id "
            "WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'new')",
            key[6], key[7]));
        node.script(fmt::format("UPDATE public.users SET user_id = {} WHERE user_id = {}", keys(from, 0)[0], key[7]));
        if (!truncate) {
            return;
        }
        node.script("TRUNCATE public.notes_b1");
        node.script(fmt::format("INSERT INTO public.notes VALUES ({}, 1)", key[0]));
        administrator.script("TRUNCATE public.notes_b1");
        node.script(fmt::format("INSERT INTO public.notes VALUES ({0}, 2), ({1}, 2)", key[0], key[1]));
    }

    /// Each of them where the bucket is not open.
    void expect_refused(int number)
    {
        const std::vector<std::string> key = keys(5000);
        for (const bool replica : {false, true}) {
            pg::Connection node =
                replica ? installation_.database(number).connect_superuser() : installation_.connect(number);
            if (replica) {
                node.script("SET session_replication_role = replica");
            }
            for (
                const std::string& sql :
                {fmt::format("INSERT INTO public.users VALUES ({}, 'x')", key[0]),
                 fmt::format("INSERT INTO public.users_b1 VALUES ({}, 'x')", key[0]),
                 fmt::format("MERGE INTO public.users u USING (VALUES ({})) v(id) ON u.user_id = v.id "
                             "WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'x')",
                             key[0]),
                 std::string("UPDATE public.users_b1 SET name = 'x'"),
                 std::string("UPDATE public.users SET name = 'x'"), std::string("DELETE FROM public.users_b1"),
                 std::string("DELETE FROM public.users"), std::string("TRUNCATE public.notes_b1"),
                 std::string("TRUNCATE public.notes"),
                 fmt::format(
                     "UPDATE public.users_b1 SET user_id = {} WHERE user_id = (SELECT min(user_id) FROM public.users_b1)",
                     key[0])}) {
                EXPECT_EQ(sqlstate_of([&] { node.script(sql); }), "KS001") << "n" << number << ": " << sql;
            }
        }
        for (const char* table : {"public.users", "public.users_b1"}) {
            pg::Connection node = installation_.connect(number);
            EXPECT_EQ(sqlstate_of([&] { copy(node, table, key[0] + "\tx\n"); }), "KS001") << table;
        }
    }

    std::string content(int number, const std::string& table)
    {
        pg::Connection node = installation_.connect(number);
        return one(
            node,
            fmt::format("SELECT count(*) || ' rows ' || string_agg(t::text, ' ' ORDER BY t::text) FROM public.{}_b1 t",
                        table));
    }

    Installation installation_{1};
};

TEST_F(BehindOurBack, EveryWayToWriteReachesTheRecipientOrIsRefused)
{
    installation_.connect().script("UPDATE public.users_b1 SET name = repeat(name, 1000) WHERE user_id < 100");
    installation_.must({"reshard", "start", "--to", "n2", "--buckets", "1"});
    await_stop("move.copy.chunk");
    write_in_every_way(1000, false); // TRUNCATE waits for the copy
    go_on("move.copy.chunk");
    await_stop("move.attached.persisted");
    write_in_every_way(2000);
    expect_refused(2);
    go_on("move.attached.persisted");
    await_stop("move.fenced.persisted");
    expect_refused(1);
    expect_refused(2);
    const std::string users = content(1, "users");
    const std::string notes = content(1, "notes");
    EXPECT_THAT(users, HasSubstr("replica changed"));
    EXPECT_THAT(notes, HasSubstr("2 rows"));
    go_on("move.fenced.persisted");
    await("SELECT (state = 'settling')::int FROM keyshift.move");
    EXPECT_EQ(content(2, "users"), users);
    EXPECT_EQ(content(2, "notes"), notes);
    expect_refused(1);
    const auto rows = table_rows(installation_, "users", "user_id", 2);
    EXPECT_TRUE(comes_true([&] { return fold_topic(installation_, "users").rows == rows; }));
    EXPECT_EQ(fold_topic(installation_, "users").backward, 0);
}

TEST_F(BehindOurBack, AColumnThatCameToTheDonorAloneIsNeverLeftBehind)
{
    go_on("move.copy.chunk");
    go_on("move.fenced.persisted");
    installation_.must({"reshard", "start", "--to", "n2", "--buckets", "1"});
    await_stop("move.attached.persisted");
    installation_.connect().script("ALTER TABLE public.users ADD COLUMN note text;"
                                   "UPDATE public.users SET note = 'note ' || user_id");
    const std::string with_notes = content(1, "users");
    go_on("move.attached.persisted");
    await("SELECT (state = 'failed')::int FROM keyshift.job");
    const auto move = installation_.json({"reshard", "status"}).at("moves").at(0);
    EXPECT_EQ(move.at("state"), "aborted");
    EXPECT_THAT(move.dump(), HasSubstr("columns of public.users_b1 differ"));
    EXPECT_EQ(content(1, "users"), with_notes);
    EXPECT_EQ(sqlstate_of([&] { installation_.connect().script("UPDATE public.users_b1 SET note = note"); }), "")
        << "it is open as before";
    pg::Connection second = installation_.connect(2);
    EXPECT_EQ(one(second, kLeftovers), "");
    second.script("ALTER TABLE public.users ADD COLUMN note text");
    installation_.must({"reshard", "start", "--to", "n2", "--buckets", "1"});
    await("SELECT (state = 'settling')::int FROM keyshift.move ORDER BY id DESC LIMIT 1");
    EXPECT_EQ(content(2, "users"), with_notes);
}

} // namespace
} // namespace keyshift::test
