// Strict tables through real moves.
#include "tests/resharder/two_nodes.hpp"

#include "catalog/operations.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

std::string sqlstate_of(pg::Connection& session, const std::string& sql)
{
    try {
        session.script(sql);
    } catch (const pg::SqlError& error) {
        return error.sqlstate();
    }
    return {};
}

/// A session of an application, whom row security binds; it has said nothing of a map.
pg::Connection client(TwoNodes& cluster, const std::string& node)
{
    pg::Connection session = cluster.administrator(node);
    session.script(
        "DO $$ BEGIN CREATE ROLE keyshift_app LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON public.users, public.posts TO keyshift_app;"
        "SET keyshift.map = ''; SET ROLE keyshift_app");
    return session;
}

TEST(StrictMove, AReaderWithTheOldMapIsRefusedOnTheNodeThatABucketLeft)
{
    TwoNodes cluster;
    cluster.load(200, 400);
    pg::Connection catalog = cluster.connect("n1");
    catalog::set_strict(catalog, "users", true, false);
    pg::Connection reader = client(cluster, "n1");
    pg::Connection other = client(cluster, "n2");
    reader.query("SELECT keyshift.use_map()");
    other.query("SELECT keyshift.use_map()");
    const std::string key(cluster.value("n1", "SELECT min(user_id) FROM public.users_b1"));
    const std::string where = " WHERE user_id = " + key;
    EXPECT_EQ(reader.query("SELECT name FROM public.users" + where).rows(), 1);
    TwoNodes::Running running(cluster, quick());
    EXPECT_EQ(cluster.reshard({1}, "n2"), "done");
    cluster.wait_until("n1", "SELECT bool_and(state = 'done') FROM keyshift.move");
    EXPECT_EQ(sqlstate_of(reader, "SELECT name FROM public.users" + where), "KS001");
    EXPECT_EQ(sqlstate_of(reader, "UPDATE public.users SET name = 'lost'" + where), "KS001");
    EXPECT_EQ(sqlstate_of(reader, "DELETE FROM public.users" + where), "KS001");
    EXPECT_EQ(reader.query("SELECT count(*) FROM public.posts" + where).integer(0, 0), 0)
        << "posts, which is not strict, is silent";
    EXPECT_EQ(other.query("SELECT name FROM public.users" + where).rows(), 1);
    reader.query("SELECT keyshift.use_map()");
    EXPECT_EQ(reader.query("SELECT node FROM keyshift.placement WHERE bucket = 1").text(0, 0), "n2");
    const std::int64_t here = reader.query("SELECT count(*) FROM public.users").integer(0, 0);
    const std::int64_t there = other.query("SELECT count(*) FROM public.users").integer(0, 0);
    EXPECT_GT(there, 0);
    EXPECT_EQ(here + there, 200);
    EXPECT_EQ(cluster.reshard({1}, "n1"), "done");
    EXPECT_EQ(sqlstate_of(other, "SELECT name FROM public.users" + where), "KS001");
    EXPECT_EQ(reader.query("SELECT name FROM public.users" + where).rows(), 1) << "what comes makes no map old";
}

} // namespace
} // namespace keyshift::test
