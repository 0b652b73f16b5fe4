/// Projections keyed by an expression: no event has such a key, so PostgreSQL is asked for it.

#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/projections/projected_cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

class ComputedKey : public testing::Test {
protected:
    ComputedKey()
    {
        cluster_.connect(0).script(
            "CREATE TABLE public.orders (id bigint PRIMARY KEY, mail text NOT NULL, quantity int NOT NULL, price numeric(10, 2) NOT NULL, "
            "paid boolean NOT NULL, country character(3) NOT NULL, at timestamp NOT NULL); "
            "INSERT INTO public.orders SELECT i, 'User' || i % 23 || '@X', i % 6 + 1, i % 11 * 0.25, i % 3 = 0, left('DEUFRX', i % 3 + 1), "
            "timestamp '2026-01-01 10:00:00' + i * interval '3 hours' FROM generate_series(1, 300) i");
        cluster_.distribute("orders", "id");
    }

    /// As the SQL has them over n1, which has all rows, once the projection shows them too; each on the node of its key.
    void expect_exact(const std::string& name, const std::string& key, const std::string& sql)
    {
        const pg::Result rows = cluster_.connect(0).query("SELECT r::text FROM (" + sql + ") r");
        std::vector<std::string> wanted;
        for (int row = 0; row < rows.rows(); ++row) {
            wanted.emplace_back(rows.text(row, 0));
        }
        std::ranges::sort(wanted);
        ASSERT_GT(wanted.size(), 0U);
        EXPECT_EQ(cluster_.rows_once("SELECT r::text FROM public." + name + " r", wanted), wanted);
        EXPECT_EQ(cluster_.verify(name), "0/0/0");
        for (const auto& [node, shown] : {std::pair(0U, "n1"), std::pair(1U, "n2")}) {
            EXPECT_EQ(cluster_.connect(node)
                          .query("SELECT count(*) FROM public." + name + " WHERE keyshift.node_of('public." + name +
                                     "', " + key + "::text) IS DISTINCT FROM $1",
                                 {shown})
                          .integer(0, 0),
                      0)
                << "rows on " << shown << " that are routed elsewhere";
        }
    }

    void change()
    {
        cluster_.connect(0).script(
            "UPDATE public.orders SET mail = upper(mail) WHERE id % 3 = 0; UPDATE public.orders SET mail = 'other' || id % 4 WHERE id % 5 = 0; "
            "DELETE FROM public.orders WHERE id % 7 = 0; UPDATE public.orders SET at = at + interval '1 day', paid = NOT paid WHERE id % 2 = 0; "
            "UPDATE public.orders SET quantity = quantity % 5, price = price + 1, country = 'ES' WHERE id % 11 = 0; "
            "INSERT INTO public.orders VALUES (1000, 'NEW@X', 2, 1.5, true, 'PT', '2026-01-01')");
    }

    /// Rows, each of which the backfill and an event may have brought.
    std::int64_t rejected_rows(const std::string& name)
    {
        return cluster_.catalog()
            .query("SELECT count(DISTINCT row_key) FROM keyshift.rejection WHERE projection = $1", {name})
            .integer(0, 0);
    }

    ProjectedCluster cluster_;
};

TEST_F(ComputedKey, FollowsEveryChangeOfWhatItIsMadeFrom)
{
    const std::string sql =
        "SELECT lower(split_part(mail, '@', 1)) AS who, id, quantity * price AS amount FROM public.orders";
    cluster_.create_and_wait("by_who", "who", sql);
    expect_exact("by_who", "who", sql);
    change();
    expect_exact("by_who", "who", sql);
    EXPECT_EQ(rejected_rows("by_who"), 0);
}

TEST_F(ComputedKey, MayBeOneOfSeveral)
{
    const std::string sql =
        "SELECT at::date AS day, country, id, paid FROM public.orders WHERE NOT (country = 'D' AND paid)";
    cluster_.create_and_wait("by_day", "day", sql);
    change();
    expect_exact("by_day", "day", sql);
}

TEST_F(ComputedKey, OfGroupsIsWhatTheyAreGroupedBy)
{
    const std::string sql =
        "SELECT at::date AS day, paid, count(*) AS orders, sum(quantity * price) AS amount, max(id) AS newest, "
        "count(DISTINCT mail) AS users FROM public.orders GROUP BY 1, paid HAVING count(*) > 1";
    cluster_.create_and_wait("days", "day", sql);
    expect_exact("days", "day", sql);
    change();
    expect_exact("days", "day", sql);
}

TEST_F(ComputedKey, ThatFailsForARowIsARejectionUnlessWhereLeavesTheRowOut)
{
    cluster_.connect(0).script("UPDATE public.orders SET quantity = 0 WHERE id IN (5, 6)");
    const std::string sql = "SELECT 60 / quantity AS share, id FROM public.orders";
    cluster_.create_and_wait("shares", "share", sql);
    cluster_.create_and_wait("some_shares", "share", sql + " WHERE quantity <> 0");
    EXPECT_EQ(rejected_rows("shares"), 2) << "of the rows that were there";
    cluster_.connect(0).script("UPDATE public.orders SET quantity = 0 WHERE id IN (10, 20)");
    expect_exact("some_shares", "share", sql + " WHERE quantity <> 0");
    EXPECT_TRUE(cluster_.wait_until(
        "SELECT count(DISTINCT row_key) >= 4 FROM keyshift.rejection WHERE projection = 'shares' AND reason = 'refused_by_postgresql'"));
    EXPECT_EQ(rejected_rows("shares"), 4);
    EXPECT_EQ(rejected_rows("some_shares"), 0);
    EXPECT_THAT(cluster_.rows("SELECT id::text FROM public.shares WHERE id IN (10, 20)"), testing::IsEmpty());
    cluster_.connect(0).script("UPDATE public.orders SET quantity = 3 WHERE quantity = 0");
    expect_exact("shares", "share", sql);
    expect_exact("some_shares", "share", sql + " WHERE quantity <> 0");
    EXPECT_EQ(rejected_rows("shares"), 0) << "healed by a newer version";
}

TEST_F(ComputedKey, ThatIsNullIsNoRejectionWhereWhereLeavesTheRowOut)
{
    const std::string sql = "SELECT nullif(quantity, 3) AS other, id FROM public.orders";
    cluster_.create_and_wait("others", "other", sql + " WHERE quantity <> 3");
    change();
    expect_exact("others", "other", sql + " WHERE quantity <> 3");
    EXPECT_EQ(rejected_rows("others"), 0);
    cluster_.connect(0).script("UPDATE public.orders SET quantity = 3 WHERE id % 4 = 0");
    expect_exact("others", "other", sql + " WHERE quantity <> 3");
    EXPECT_EQ(rejected_rows("others"), 0);
}

TEST_F(ComputedKey, FollowsItsColumnsToTheirNewNames)
{
    const std::string before = "SELECT upper(mail) AS who, id FROM public.orders";
    cluster_.create_and_wait("by_who", "who", before);
    for (const std::size_t node : {0U, 1U}) {
        cluster_.connect(node).script("ALTER TABLE public.orders RENAME COLUMN mail TO address");
    }
    cluster_.connect(0).script(
        "UPDATE public.orders SET address = 'renamed' || id WHERE id % 3 = 0; DELETE FROM public.orders WHERE id % 5 = 0");
    expect_exact("by_who", "who", "SELECT upper(address) AS who, id FROM public.orders");
}

TEST_F(ComputedKey, ADamagedRowIsFoundAndRepaired)
{
    const std::string sql = "SELECT lower(mail) AS who, id, quantity FROM public.orders WHERE quantity > 1";
    cluster_.create_and_wait("by_who", "who", sql);
    cluster_.connect(0).script(
        "UPDATE keyshift.by_who__g1 SET quantity = 77 WHERE id % 9 = 0; DELETE FROM keyshift.by_who__g1 WHERE id % 9 = 1; "
        "UPDATE keyshift.by_who__g1 SET who = 'wrong' WHERE id % 9 = 2 AND keyshift.owns('keyshift.by_who__g1', 'wrong')");
    EXPECT_NE(cluster_.verify("by_who"), "0/0/0");
    EXPECT_GT(projections::repair(cluster_.catalog(), "by_who", {}).at("repaired"), 0);
    expect_exact("by_who", "who", sql);
}

TEST_F(ComputedKey, MayBecomeAnotherExpressionAndGoBack)
{
    const std::string before = "SELECT lower(mail) AS who, id FROM public.orders";
    const std::string after = "SELECT split_part(mail, '@', 1) AS who, id, paid FROM public.orders WHERE quantity > 1";
    const auto serves = [](int generation) {
        return "SELECT bool_or(serving AND state = 'live' AND generation = " + std::to_string(generation) +
               ") FROM keyshift.projection WHERE name = 'by_who'";
    };
    cluster_.create_and_wait("by_who", "who", before);
    projections::RebuildRequest request;
    request.name = "by_who";
    request.sql = after;
    request.keep_seconds = 3600;
    request.apply = true;
    projections::rebuild(cluster_.catalog(), request);
    ASSERT_TRUE(cluster_.wait_until(serves(2)));
    change();
    expect_exact("by_who", "who", after);
    projections::rollback(cluster_.catalog(), "by_who", false);
    ASSERT_TRUE(cluster_.wait_until(serves(1)));
    expect_exact("by_who", "who", before);
}

TEST_F(ComputedKey, IsComputedAnewForATruncatedTable)
{
    const std::string sql = "SELECT lower(mail) AS who, id FROM public.orders";
    cluster_.create_and_wait("by_who", "who", sql);
    cluster_.connect(0).script(
        "TRUNCATE public.orders; INSERT INTO public.orders VALUES (1, 'Again@X', 2, 1.5, true, 'PT', '2026-01-01')");
    expect_exact("by_who", "who", sql);
}

/// Longer than PostgreSQL keeps in the row and short enough for the index of the replica identity: an update of another column
/// does not carry it.
TEST_F(ComputedKey, IsThatOfAnUnchangedLongValueToo)
{
    cluster_.connect(0).script(
        "ALTER TABLE public.orders ALTER COLUMN mail SET STORAGE EXTERNAL; DO $$ DECLARE l record; BEGIN FOR l IN SELECT inhrelid::regclass AS leaf "
        "FROM pg_inherits WHERE inhparent = 'public.orders'::regclass LOOP EXECUTE format('ALTER TABLE %s ALTER COLUMN mail SET STORAGE EXTERNAL', l.leaf); "
        "END LOOP; END $$; UPDATE public.orders SET mail = (SELECT string_agg(md5(id::text || n), '') FROM generate_series(1, 78) n) WHERE id % 4 = 0");
    const std::string computed = "SELECT md5(mail) AS digest, id, quantity FROM public.orders";
    const std::string plain = "SELECT mail, id, quantity FROM public.orders";
    cluster_.create_and_wait("by_digest", "digest", computed);
    cluster_.create_and_wait("by_mail", "mail", plain);
    cluster_.connect(0).script(
        "UPDATE public.orders SET quantity = quantity + 10 WHERE id % 8 = 0; DELETE FROM public.orders WHERE id % 12 = 0; "
        "UPDATE public.orders SET mail = mail || 'x' WHERE id % 20 = 0");
    expect_exact("by_digest", "digest", computed);
    expect_exact("by_mail", "mail", plain);
    EXPECT_EQ(rejected_rows("by_digest"), 0);
    EXPECT_EQ(rejected_rows("by_mail"), 0);
}

TEST_F(ComputedKey, OtherTypesOfKeysAreRoutedToo)
{
    for (const std::string key : {"paid", "country", "price", "at"}) {
        SCOPED_TRACE(key);
        const std::string sql = "SELECT " + key + ", id, quantity FROM public.orders";
        cluster_.create_and_wait("by_" + key, key, sql);
        change();
        expect_exact("by_" + key, key, sql);
        EXPECT_EQ(rejected_rows("by_" + key), 0);
        cluster_.connect(0).script("DELETE FROM public.orders WHERE id = 1000");
    }
}

TEST_F(ComputedKey, OfAnEnumIsItsLabelAsTheRefusalWritesIt)
{
    cluster_.connect(0).script(
        "CREATE TYPE public.mood AS ENUM ('it''s fine', 'bad'); "
        "CREATE TABLE public.notes (id bigint PRIMARY KEY, \"The mood\" public.mood NOT NULL); "
        "INSERT INTO public.notes SELECT i, CASE i % 3 WHEN 0 THEN 'bad' ELSE 'it''s fine' END::public.mood FROM generate_series(1, 50) i");
    cluster_.distribute("notes", "id");
    std::string next;
    try {
        cluster_.create("by_mood", "The mood", "SELECT \"The mood\", id FROM public.notes");
    } catch (const Error& error) {
        EXPECT_THAT(error.parts().why, HasSubstr("a key of type public.mood is not supported: the hash of an enum"));
        next = error.parts().next;
    }
    const std::size_t begin = next.find("CASE ");
    ASSERT_NE(begin, std::string::npos) << next;
    const std::string label = next.substr(begin, next.find(" END") + 4 - begin);
    const std::string sql = "SELECT " + label + " AS label, id FROM public.notes";
    cluster_.create_and_wait("by_mood", "label", sql);
    cluster_.connect(0).script(
        "UPDATE public.notes SET \"The mood\" = 'bad' WHERE id % 5 = 0; DELETE FROM public.notes WHERE id % 7 = 0");
    expect_exact("by_mood", "label", sql);
}

TEST_F(ComputedKey, IsRefusedWhereItTellsNoRowsApartOrHasNoSuchType)
{
    for (const auto& [sql, why] :
         {std::pair("SELECT 1 + 1 AS k, id FROM public.orders", "the same for every row"),
          std::pair("SELECT price * 2 AS k, id FROM public.orders", "a key of type numeric is not supported"),
          std::pair("SELECT ARRAY[mail] AS k, id FROM public.orders", "a key of type text[] is not supported"),
          std::pair("SELECT lower(mail) AS k, count(*) AS n FROM public.orders GROUP BY mail", "is not grouped by"),
          std::pair("SELECT to_char(at, 'YYYY') AS k, id FROM public.orders",
                    "changes with time, session or settings")}) {
        try {
            cluster_.create("refused", "k", sql);
            ADD_FAILURE() << sql;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::refused);
            EXPECT_THAT(error.parts().why, HasSubstr(why)) << sql;
            EXPECT_FALSE(error.parts().next.empty());
        }
    }
}

} // namespace
} // namespace keyshift::test
