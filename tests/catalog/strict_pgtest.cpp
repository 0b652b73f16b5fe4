// Strict tables: sessions that go by an old map of buckets, or name none, are refused; all others see what they did before.
#include "tests/catalog/cluster.hpp"

#include "catalog/operations/ddl.hpp"
#include "catalog/operations/split.hpp"
#include "catalog/strict.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

constexpr int kRows = 100;

/// Everything of a table's row security, to be compared before and after.
std::string row_security(pg::Connection& node)
{
    return one(
        node,
        "SELECT c.relrowsecurity || ' ' || c.relforcerowsecurity || coalesce((SELECT string_agg(concat_ws(' ', p.polname, "
        "p.polpermissive, p.polcmd, p.polroles, pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)), '|' ORDER BY p.polname) "
        "FROM pg_policy p WHERE p.polrelid = c.oid), '') FROM pg_class c WHERE c.oid = 'public.notes'::regclass");
}

/// n1 has rows of notes(id, tenant); n2 will have placeholders. Both belong to a role that is no superuser, whom row security
/// does not spare.
class Strict : public testing::Test {
protected:
    Strict()
    {
        for (int number = 0; number < 2; ++number) {
            cluster.add_database(DatabaseOwner::plain);
        }
        pg::Connection administrator = cluster.database(0).connect_superuser();
        administrator.script("CREATE ROLE " + app);
        cluster.connect(0).script(
            fmt::format("CREATE TABLE public.notes (id bigint PRIMARY KEY, tenant int, text text);"
                        "INSERT INTO public.notes SELECT i, i % 2, 'x' FROM generate_series(1, {}) i;"
                        "GRANT SELECT, INSERT, UPDATE, DELETE ON public.notes TO {}",
                        kRows, app));
        cluster.add_node(0);
        cluster.add_node(1);
    }
    ~Strict() override
    {
        for (std::size_t node = 0; node < nodes; ++node) {
            cluster.database(node).connect_superuser().script("DROP OWNED BY " + app);
        }
        cluster.database(0).connect_superuser().script("DROP ROLE " + app);
    }

    void distribute(bool offline = true)
    {
        catalog::distribute(cluster.catalog(), {"notes", {"id"}, 4, "", offline, false, true});
    }
    /// A client's session, which has said nothing of a map; of the owner, or of the application.
    pg::Connection client(std::size_t node, bool owner = false)
    {
        pg::Connection session = owner ? cluster.connect(node) : cluster.database(node).connect_superuser();
        session.script("SET keyshift.map = ''");
        if (!owner) {
            session.script("SET ROLE " + app);
        }
        return session;
    }

    std::string security_of(std::size_t node)
    {
        pg::Connection connection = cluster.connect(node);
        return row_security(connection);
    }

    Cluster cluster;
    const std::string app = unique_name("app");
    std::size_t nodes = 2;
};

const std::vector<std::string> kByKeyAndAll{
    "SELECT * FROM public.notes WHERE id = 7", "UPDATE public.notes SET text = 'y' WHERE id = 7",
    "DELETE FROM public.notes WHERE id = -7", "SELECT count(*) FROM public.notes",
    "SELECT * FROM public.notes WHERE id = 7 FOR UPDATE"};

TEST_F(Strict, SessionsWithoutAMapAreRefusedAndThoseWithOneSeeTheirNodesRowsOnly)
{
    distribute(false);
    for (const bool owner : {true, false}) {
        for (const std::size_t node : {0, 1}) {
            pg::Connection session = client(node, owner);
            for (const std::string& statement : kByKeyAndAll) {
                EXPECT_EQ(sqlstate_of(session, statement), "KS001") << statement;
            }
            EXPECT_EQ(one(session, "SELECT keyshift.use_map() > 0"), "t");
            for (const std::string& statement : kByKeyAndAll) {
                EXPECT_EQ(sqlstate_of(session, statement), "") << statement;
            }
            EXPECT_EQ(one(session, "SELECT count(*) FROM public.notes"), node == 0 ? std::to_string(kRows) : "0");
            for (const char* no_map : {"yesterday", "-1", "9999999999999999999", ""}) {
                session.script(std::string("SET keyshift.map = '") + no_map + "'");
                EXPECT_EQ(sqlstate_of(session, "SELECT count(*) FROM public.notes"), "KS001") << no_map;
            }
            session.script("SET keyshift.map = 'any'");
            EXPECT_EQ(sqlstate_of(session, "SELECT count(*) FROM public.notes"), "");
        }
    }
    EXPECT_EQ(found_by_doctor(cluster.catalog()).dump().find("\"error\""), std::string::npos);
    EXPECT_TRUE(catalog::show_table(cluster.catalog(), "notes")["strict"].get<bool>());
}

TEST_F(Strict, AMapFromBeforeABucketLeftIsOldOnThatNodeAlone)
{
    distribute();
    pg::Connection session = client(0);
    pg::Connection elsewhere = client(1);
    session.query("SELECT keyshift.use_map()");
    elsewhere.query("SELECT keyshift.use_map()");
    session.script(
        "PREPARE by_key(bigint) AS SELECT text FROM public.notes WHERE id = $1; SET plan_cache_mode = force_generic_plan");
    EXPECT_EQ(one(session, "EXECUTE by_key(7)"), "x");
    pg::Connection fence = cluster.connect(0);
    fence.script("BEGIN");
    catalog::map_changed(fence, "notes");
    const std::string read_meanwhile = one(session, "SELECT keyshift.use_map()");
    fence.script("COMMIT");
    EXPECT_EQ(sqlstate_of(session, "EXECUTE by_key(7)"), "KS001")
        << "map " << read_meanwhile << " was read while the bucket was leaving";
    EXPECT_EQ(sqlstate_of(session, "UPDATE public.notes SET text = 'y' WHERE id = 7"), "KS001");
    EXPECT_EQ(sqlstate_of(session, "DELETE FROM public.notes WHERE id = 7"), "KS001");
    EXPECT_EQ(sqlstate_of(session, "SELECT count(*) FROM public.notes"), "KS001");
    EXPECT_EQ(sqlstate_of(elsewhere, "SELECT count(*) FROM public.notes"), "");
    session.query("SELECT keyshift.use_map()");
    EXPECT_EQ(one(session, "EXECUTE by_key(7)"), "x");
}

TEST_F(Strict, ASplitTakesNothingFromAnyMap)
{
    distribute();
    cluster.catalog().script("UPDATE keyshift.snapshot SET state = 'done'");
    pg::Connection session = client(0);
    session.query("SELECT keyshift.use_map()");
    int written = 0;
    const catalog::OnlineWork meanwhile{
        [&](double, const std::string&) {
            session.script(fmt::format("INSERT INTO public.notes VALUES ({}, 1, 'meanwhile')", kRows + ++written));
        },
        {}};
    catalog::split(cluster.catalog(), {1, "notes", false}, meanwhile);
    EXPECT_GT(written, 0);
    for (const std::string& statement : kByKeyAndAll) {
        EXPECT_EQ(sqlstate_of(session, statement), "") << statement;
    }
    EXPECT_EQ(one(session, "SELECT count(*) FROM public.notes"), std::to_string(kRows + written));
    for (const bool owner : {true, false}) {
        pg::Connection unsaid = client(0, owner);
        EXPECT_EQ(sqlstate_of(unsaid, "SELECT count(*) FROM public.notes"), "KS001");
    }
    EXPECT_EQ(found_by_doctor(cluster.catalog()).dump().find("\"error\""), std::string::npos);
}

TEST_F(Strict, NotStrictATableIsSilentOnTheWrongNode)
{
    catalog::distribute(cluster.catalog(), {"notes", {"id"}, 4, "", true, false});
    pg::Connection session = client(1);
    for (const std::string& statement : kByKeyAndAll) {
        EXPECT_EQ(sqlstate_of(session, statement), "") << statement;
    }
}

struct Own {
    const char* name;
    const char* ddl;
    const char* app_sees; ///< of 100 rows, as tenant 1
    bool binds_owner;     ///< once strict
};

class StrictWithPolicies : public Strict, public testing::WithParamInterface<Own> {};

TEST_P(StrictWithPolicies, CarriesThemOverAndGivesThemBack)
{
    cluster.connect(0).script(GetParam().ddl);
    const std::string before = security_of(0);
    catalog::distribute(cluster.catalog(), {"notes", {"id"}, 4, "", true, false, true});
    for (const std::size_t node : {0, 1}) {
        pg::Connection session = client(node);
        session.script("SET app.tenant = '1'");
        const bool sees_any = std::string(GetParam().app_sees) != "0";
        EXPECT_EQ(sqlstate_of(session, "SELECT * FROM public.notes"), sees_any ? "KS001" : "");
        session.script("SELECT keyshift.use_map()");
        EXPECT_EQ(one(session, "SELECT count(*) FROM public.notes"), node == 0 ? GetParam().app_sees : "0");
    }
    pg::Connection owner = client(0, true);
    EXPECT_EQ(sqlstate_of(owner, "SELECT * FROM public.notes"), GetParam().binds_owner ? "KS001" : "");
    owner.query("SELECT keyshift.use_map()");
    EXPECT_EQ(one(owner, "SELECT count(*) FROM public.notes"), "100") << "nobody sees less than before";
    catalog::set_strict(cluster.catalog(), "notes", false, false);
    for (const std::size_t node : {0, 1}) {
        pg::Connection connection = cluster.connect(node);
        EXPECT_EQ(row_security(connection), before);
    }
    catalog::set_strict(cluster.catalog(), "notes", true, false);
    catalog::undistribute(cluster.catalog(), "notes", false);
    pg::Connection n1 = cluster.connect(0);
    EXPECT_EQ(row_security(n1), before);
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.notes"), "100");
}

INSTANTIATE_TEST_SUITE_P(
    Own, StrictWithPolicies,
    testing::Values(
        Own{"none", "SELECT 1", "100", true},
        Own{"enabled",
            "ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON public.notes USING (tenant = current_setting('app.tenant')::int)",
            "50", true},
        Own{"restrictive",
            "ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON public.notes USING (true); "
            "CREATE POLICY r ON public.notes AS RESTRICTIVE USING (tenant = current_setting('app.tenant')::int)",
            "50", false},
        Own{"without_policies", "ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY", "0", true}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(Strict, CanBeSwitchedAndIsWatchedByDoctorAndDdl)
{
    catalog::distribute(cluster.catalog(), {"notes", {"id"}, 4, "", true, false});
    catalog::set_strict(cluster.catalog(), "notes", true, false);
    pg::Connection session = client(1);
    EXPECT_EQ(sqlstate_of(session, "SELECT * FROM public.notes"), "KS001");
    cluster.add_database(DatabaseOwner::plain);
    cluster.add_node(2);
    nodes = 3;
    pg::Connection third = client(2);
    EXPECT_EQ(sqlstate_of(third, "SELECT * FROM public.notes WHERE id = 1"), "KS001") << "a node that came later";
    for (const char* sql : {"ALTER TABLE notes DISABLE ROW LEVEL SECURITY", "CREATE POLICY p ON notes USING (true)",
                            "DROP POLICY keyshift_strict ON notes"}) {
        EXPECT_THROW(catalog::ddl(cluster.catalog(), {.statement = sql}), RefusedError) << sql;
    }
    cluster.connect(1).script("ALTER TABLE public.notes NO FORCE ROW LEVEL SECURITY");
    EXPECT_THAT(catalog::doctor(cluster.catalog(), {}).dump(), HasSubstr("strict_off"));
    cluster.connect(1).script("DROP POLICY keyshift_strict ON public.notes");
    EXPECT_THAT(catalog::doctor(cluster.catalog(), {}).dump(), HasSubstr("strict_differs"));
    catalog::set_strict(cluster.catalog(), "notes", false, false);
    catalog::set_strict(cluster.catalog(), "notes", true, false);
    EXPECT_EQ(catalog::doctor(cluster.catalog(), {}).dump().find("strict_"), std::string::npos);
    catalog::deinit(cluster.catalog(), std::nullopt, false);
    pg::Connection n1 = cluster.connect(0);
    EXPECT_EQ(row_security(n1), "false false");
}

} // namespace
} // namespace keyshift::test
