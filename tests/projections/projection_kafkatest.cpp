/// Projections with everything real: operations, streams, broker, service.

#include "tests/projections/projected_cluster.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kByUser = "SELECT user_id, like_id, post_id, content FROM likes";

/// Inserts, changes of content, of key and there and back, deletes, until told to stop.
std::jthread writer(const ProjectedCluster& cluster)
{
    return std::jthread([connection = cluster.connect(0)](std::stop_token stop) mutable {
        for (int turn = 0; !stop.stop_requested(); ++turn) {
            const std::string n = std::to_string(turn);
            connection.script("BEGIN; INSERT INTO public.likes VALUES (" + n + " % 50, 1000 + " + n + ", " + n +
                              " % 20, 1, 'new'); "
                              "UPDATE public.likes SET content = 'turn " +
                              n + "' WHERE like_id = 1 + " + n +
                              " % 400; "
                              "UPDATE public.likes SET user_id = (user_id + 1) % 20 WHERE like_id = 1 + " +
                              n +
                              " * 7 % 400; COMMIT; "
                              "UPDATE public.likes SET user_id = 99 WHERE like_id = 1 + " +
                              n +
                              " * 3 % 400; "
                              "UPDATE public.likes SET user_id = like_id % 20 WHERE like_id = 1 + " +
                              n +
                              " * 3 % 400; "
                              "DELETE FROM public.likes WHERE like_id = 1000 + " +
                              n + " - 30");
        }
    });
}

/// INV-PRJ-1.
TEST(Projection, BuiltAndRestartedUnderWritesEndsEqualToItsDefinition)
{
    ProjectedCluster cluster;
    {
        const std::jthread writing = writer(cluster);
        cluster.create_and_wait("by_user", "user_id", kByUser);
        EXPECT_EQ(cluster.verify("by_user"), "0/0/0") << "no false alarm while writes go on";
        cluster.stop_projections();
        cluster.start_projections();
        projections::pause(cluster.catalog(), "by_user");
        projections::resume(cluster.catalog(), "by_user");
        cluster.wait_until("SELECT state = 'live' FROM keyshift.projection");
    }
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    const auto held =
        cluster.rows("SELECT format('%s %s %s %s', user_id, like_id, post_id, content) FROM public.by_user");
    pg::Connection source = cluster.connect(0);
    EXPECT_EQ(std::to_string(held.size()), one(source, "SELECT count(*) FROM public.likes"));
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.rejection"), "0");
}

TEST(Projection, VerifyFindsAMissingAnExtraAndADifferentRow)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    pg::Connection node = cluster.connect(0);
    const std::string leaf = one(node, "SELECT tableoid::regclass FROM keyshift.by_user__g1 WHERE _live LIMIT 1");
    const std::string row = "(SELECT ctid FROM " + leaf + " WHERE _live ORDER BY like_id ";
    node.script("INSERT INTO " + leaf +
                " SELECT (r).* FROM (SELECT jsonb_populate_record(t, '{\"like_id\": 77777}') AS r FROM " + leaf +
                " t WHERE _live LIMIT 1) x");
    node.script("UPDATE " + leaf + " SET content = 'spoilt' WHERE ctid = " + row + "LIMIT 1)");
    node.script("UPDATE " + leaf + " SET _live = false WHERE ctid = " + row + "OFFSET 1 LIMIT 1)");
    EXPECT_EQ(cluster.verify("by_user"), "1/1/1");
}

TEST(Projection, AValueThatTheWalLeftOutIsNotErased)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id",
                            "SELECT user_id, like_id, amount, length(content) AS size, content FROM likes");
    pg::Connection node = cluster.connect(0);
    node.script("UPDATE public.likes SET content = repeat('big', 3000), user_id = 30 WHERE like_id = 7");
    node.script("UPDATE public.likes SET amount = 8 WHERE like_id = 7");
    node.script("UPDATE public.likes SET user_id = 31 WHERE like_id = 7");
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_THAT(
        cluster.rows(
            "SELECT format('%s %s %s %s', user_id, amount, size, content = repeat('big', 3000)) FROM public.by_user WHERE like_id = 7"),
        ElementsAre("31 8 9000 t"));
}

/// A table that is not distributed is on one node: the others are not asked for what the WAL left out of a row that has gone since.
TEST(Projection, OfATableOfOneNodeAValueThatWentWithItsRowIsLookedForNowhereElse)
{
    ProjectedCluster cluster;
    pg::Connection node = cluster.connect(0);
    node.script(
        "CREATE TABLE public.notes (note_id bigint PRIMARY KEY, user_id bigint NOT NULL, title text, content text); "
        "ALTER TABLE public.notes ALTER COLUMN content SET STORAGE EXTERNAL; "
        "INSERT INTO public.notes SELECT i, i, 'note', repeat('long', 1000) FROM generate_series(1, 9) i");
    catalog::capture(cluster.catalog(), {"notes"}, false, {}, false, {});
    cluster.create_and_wait("by_user", "user_id", "SELECT user_id, note_id, title, content FROM notes");
    cluster.stop_projections();
    node.script(
        "BEGIN; UPDATE public.notes SET title = 'last' WHERE note_id = 5; DELETE FROM public.notes WHERE note_id = 5; COMMIT; "
        "UPDATE public.notes SET title = 'kept' WHERE note_id = 6");
    cluster.start_projections();
    EXPECT_EQ(
        cluster.rows_once("SELECT title || length(content) FROM public.by_user WHERE note_id IN (5, 6)", {"kept4000"}),
        (std::vector<std::string>{"kept4000"}));
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
}

TEST(Projection, ExpressionsSeeOnlyRowsThatTheConditionTakes)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("shares", "user_id",
                            "SELECT user_id, like_id, 12 / amount AS share FROM likes WHERE amount <> 0");
    pg::Connection node = cluster.connect(0);
    node.script("UPDATE public.likes SET amount = 4 WHERE like_id IN (3, 6)"); // into the condition
    node.script("UPDATE public.likes SET amount = 0 WHERE like_id IN (4, 6)"); // and out of it
    node.script("DELETE FROM public.likes WHERE like_id = 9");                 // never in it
    EXPECT_EQ(cluster.verify("shares"), "0/0/0");
    EXPECT_THAT(cluster.rows("SELECT format('%s %s', like_id, share) FROM public.shares WHERE like_id IN (3, 4, 6, 9)"),
                ElementsAre("3 3"));
    EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.rejection"), "0");
}

TEST(Projection, IsRefusedOverWhatEventsHideAndSoIsHidingWhatItReads)
{
    ProjectedCluster cluster;
    const auto capture = [&](const catalog::OptionChanges& changes) {
        catalog::capture(cluster.catalog(), {"likes"}, false, {}, false, changes);
    };
    capture({.mask = {"content=***"}});
    const std::string before = cluster.traces(0);
    try {
        cluster.create("by_user", "user_id", kByUser);
        ADD_FAILURE() << "nothing was refused";
    } catch (const RefusedError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("has it masked"));
    }
    EXPECT_EQ(cluster.traces(0), before);
    cluster.create_and_wait("by_user", "user_id", "SELECT user_id, like_id, amount FROM likes");
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_THROW(capture({.exclude_columns = "amount"}), RefusedError);
}

TEST(Projection, DropLeavesNothingBehindAndTheNameCanBeUsedAtOnce)
{
    ProjectedCluster cluster;
    const std::string before[] = {cluster.traces(0), cluster.traces(1)};
    cluster.create_and_wait("by_user", "user_id", kByUser);
    projections::drop(cluster.catalog(), "by_user");
    cluster.create_and_wait("by_user", "user_id", "SELECT user_id, like_id, upper(content) AS loud FROM likes");
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    projections::drop(cluster.catalog(), "by_user");
    EXPECT_EQ(cluster.traces(0), before[0]);
    EXPECT_EQ(cluster.traces(1), before[1]);
    for (const char* table : {"projection", "rejection", "table_group WHERE name = 'by_user'",
                              "captured_table WHERE table_name LIKE 'by_user%'"}) {
        EXPECT_EQ(one(cluster.catalog(), std::string("SELECT count(*) FROM keyshift.") + table), "0") << table;
    }
}

TEST(Projection, ASecondOneDoesNotTakeTheFirstOnesKeyFromTheOldRow)
{
    ProjectedCluster cluster;
    pg::Connection node = cluster.connect(0);
    node.script("ALTER TABLE public.likes ALTER COLUMN amount SET NOT NULL");
    cluster.create_and_wait("by_user", "user_id", kByUser);
    cluster.create_and_wait("by_amount", "amount", "SELECT amount, like_id, user_id FROM likes");
    node.script(
        "UPDATE public.likes SET user_id = user_id + 100 WHERE like_id % 3 = 0; UPDATE public.likes SET amount = 9 WHERE like_id % 5 = 0");
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    EXPECT_EQ(cluster.verify("by_amount"), "0/0/0");
    projections::drop(cluster.catalog(), "by_amount");
    node.script(
        "UPDATE public.likes SET user_id = user_id + 100 WHERE like_id % 4 = 0; DELETE FROM public.likes WHERE like_id % 7 = 0");
    EXPECT_EQ(cluster.verify("by_user"), "0/0/0");
    projections::drop(cluster.catalog(), "by_user");
    EXPECT_EQ(
        one(node,
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'likes%' AND relkind IN ('r', 'p') AND relreplident <> 'd'"),
        "0");
    EXPECT_EQ(
        one(node,
            "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname LIKE 'likes%' AND NOT i.indisprimary"),
        "0");
}

TEST(Projection, ARecordThatItCannotUseIsARejectionAndItsNeighboursAreApplied)
{
    ProjectedCluster cluster;
    cluster.create_and_wait(
        "by_user", "user_id",
        "SELECT user_id, like_id, 12 / amount AS share FROM likes WHERE amount IS NULL OR amount <> 0 OR like_id > 5000");
    const auto row = [](const std::string& user, int like, const std::string& amount) {
        return R"({"before":null,"after":{"post_id":1,"like_id":)" + std::to_string(like) + R"(,"user_id":)" + user +
               R"(,"amount":)" + amount + R"(,"content":"x"},"op":"c"})";
    };
    cluster.produce("{\"k\":\"\xff\"}", "{\"after\":\"\xff\",\"op\":\"c\"}", "1/900000000000/0"); // no UTF-8
    cluster.produce("{}", "{", "1/900000000000/1");
    cluster.produce("{}", row("null", 6001, "1"), "1/900000000000/2");
    cluster.produce("{}", row("5", 6002, "0"), "1/900000000000/3"); // 12 / 0 in PostgreSQL
    cluster.produce("{}", row("99999999999999999999", 6003, "1"),
                    "1/900000000000/4");                                      // no number that JSON readers agree on
    cluster.produce("{}", row("5", 6004, "99999999999"), "1/900000000000/5"); // no int4
    cluster.produce("{}", row("5", 6005, "2"), "no position");
    cluster.produce("{}", row("5", 6006, "2"), "1/900000000000/6");
    ASSERT_TRUE(cluster.wait_until("SELECT rejections = 7 FROM keyshift.projection"));
    for (int tries = 0; tries < 300 && cluster.rows("SELECT share FROM public.by_user WHERE like_id > 6000").empty();
         ++tries) {
        cluster.wait_until("SELECT pg_sleep(0.02) IS NOT NULL");
    }
    EXPECT_THAT(cluster.rows("SELECT format('%s %s', like_id, share) FROM public.by_user WHERE like_id > 6000"),
                ElementsAre("6006 6"));
    EXPECT_EQ(one(cluster.catalog(), "SELECT string_agg(reason, ' ' ORDER BY reason) FROM keyshift.rejection"),
              "bad_json bad_json bad_json no_position null_key refused_by_postgresql refused_by_postgresql");
    cluster.produce("{}", row("5", 6002, "3"), "1/900000000001/0"); // a newer version heals it
    for (int tries = 0; tries < 300 && cluster.rows("SELECT share FROM public.by_user WHERE like_id = 6002").empty();
         ++tries) {
        cluster.wait_until("SELECT pg_sleep(0.02) IS NOT NULL");
    }
    EXPECT_THAT(cluster.rows("SELECT share FROM public.by_user WHERE like_id = 6002"), ElementsAre("4"));
}

TEST(Projection, EveryNodeHasProgressBeforeTheFirstBatch)
{
    ProjectedCluster cluster;
    cluster.create_and_wait("by_user", "user_id", kByUser);
    EXPECT_THAT(cluster.rows("SELECT count(*) FROM keyshift.projection_progress WHERE projection = 'by_user'"),
                ElementsAre("2", "2"));
}

TEST(Projection, RefusesBeforeAnythingIsTouched)
{
    ProjectedCluster cluster;
    const std::string before = cluster.traces(0);
    const auto refusal = [&](const std::string& name, const std::string& key, const std::string& sql, bool apply = true,
                             const std::string& decimal = "precise") {
        projections::CreateRequest request{name, {key}, sql, 4, apply, false, false, {.decimal = decimal}};
        try {
            projections::create(cluster.catalog(), request);
        } catch (const RefusedError& error) {
            return error.parts().why + " | " + error.parts().next;
        }
        return std::string("accepted");
    };
    EXPECT_THAT(
        refusal("p", "user_id", "SELECT user_id, likeid FROM likes"),
        HasSubstr(
            "has no column likeid\n    SELECT user_id, likeid FROM likes\n                    ^ | Did you mean like_id? "));
    EXPECT_THAT(refusal("p", "user_id", "SELECT user_id, l FROM likes l"), HasSubstr("l is the whole row"));
    EXPECT_THAT(refusal("p", "user_id", "SELECT user_id FROM like"), HasSubstr("syntax error"));
    EXPECT_THAT(
        refusal("p", "user_id", "SELECT user_id FROM likess"),
        HasSubstr("is not captured\n    SELECT user_id FROM likess\n                        ^ | Did you mean likes? "));
    EXPECT_THAT(refusal("p", "user_id", "SELECT user_id, random() AS r FROM likes"), HasSubstr("changes with time"));
    EXPECT_THAT(refusal("p", "user_id", "SELECT user_id, like_id::timestamptz AS r FROM likes"),
                HasSubstr("cannot cast"));
    EXPECT_THAT(refusal("p", "content", "SELECT user_id FROM likes"), HasSubstr("is not selected"));
    EXPECT_THAT(refusal("p", "u", "SELECT 1 AS u FROM likes"), HasSubstr("is the same for every row"));
    EXPECT_THAT(refusal("likes", "user_id", "SELECT user_id FROM likes"), HasSubstr("already"));
    const std::string alters = refusal("p", "user_id", kByUser, false);
    EXPECT_THAT(alters, HasSubstr("CREATE UNIQUE INDEX"));
    EXPECT_THAT(alters, HasSubstr("REPLICA IDENTITY USING INDEX"));
    EXPECT_EQ(cluster.traces(0), before);
}

} // namespace
} // namespace keyshift::test
