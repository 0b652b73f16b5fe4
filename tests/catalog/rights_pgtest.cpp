// What a role that is no superuser lacks is named before anything is touched, and the statement that is given with it is
// enough.
#include "tests/catalog/cluster.hpp"

#include "catalog/node_preflight.hpp"
#include "catalog/rights.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/support/private_postgres.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using catalog::Finding;
using testing::HasSubstr;
using testing::SizeIs;

/// A server of its own, since roles are the server's: role app, that can log in and nothing else, and database app.
class Rights : public testing::Test {
protected:
    Rights()
    {
        pg::Connection administrator = as("postgres", "postgres");
        administrator.script("CREATE ROLE app LOGIN; CREATE ROLE owner NOLOGIN");
        administrator.query("CREATE DATABASE app");
        administrator.query("CREATE DATABASE catalog OWNER app");
        administrator_.emplace(as("postgres", "app"));
        administrator_->script("CREATE SCHEMA s AUTHORIZATION postgres; GRANT USAGE ON SCHEMA s TO PUBLIC;"
                               "CREATE TABLE s.t (id bigint PRIMARY KEY); ALTER TABLE s.t OWNER TO owner");
    }

    pg::Connection as(const std::string& role, const std::string& database) const
    {
        return pg::Connection(
            {database,
             "host=127.0.0.1 port=" + std::to_string(server_.port()) + " user=" + role + " dbname=" + database, "",
             "test"});
    }

    /// Runs each fix as an administrator, after which nothing is missing.
    void mend(const std::vector<Finding>& missing)
    {
        for (const Finding& one : missing) {
            EXPECT_EQ(one.check, "right_missing");
            administrator_->script(one.fix);
        }
    }

    PrivatePostgres server_;
    std::optional<pg::Connection> administrator_;
};

TEST_F(Rights, OfANodeAreNamedWithStatementsThatGiveThem)
{
    administrator_->script("CREATE SCHEMA keyshift; CREATE PUBLICATION p");
    pg::Connection node = as("app", "app");
    const std::vector<Finding> missing = catalog::missing_on_node(node, "p");
    ASSERT_THAT(missing, SizeIs(4)) << catalog::to_json(missing).dump(1);
    EXPECT_EQ(missing[0].fix, "ALTER ROLE app REPLICATION;");
    EXPECT_EQ(missing[1].fix, "GRANT CREATE ON DATABASE app TO app;");
    mend(missing);
    EXPECT_THAT(catalog::missing_on_node(node, "p"), SizeIs(0));
    EXPECT_THAT(catalog::missing_on_node(*administrator_, "p"), SizeIs(0));
}

TEST_F(Rights, OfATableAreNamedWithStatementsThatGiveThem)
{
    pg::Connection node = as("app", "app");
    EXPECT_EQ(sqlstate_of(node, "ALTER TABLE s.t REPLICA IDENTITY FULL"), "42501");
    mend(catalog::missing_to_publish(node, {"s", "t"}));
    EXPECT_EQ(sqlstate_of(node, "ALTER TABLE s.t REPLICA IDENTITY FULL"), "");
    const std::vector<Finding> more = catalog::missing_to_distribute(node, {"s", "t"});
    ASSERT_THAT(more, SizeIs(2)) << catalog::to_json(more).dump(1);
    const std::string make = "BEGIN; CREATE TABLE s.made (id int); ALTER TABLE s.made OWNER TO owner; ROLLBACK";
    EXPECT_EQ(sqlstate_of(node, make), "42501");
    node.script("ROLLBACK");
    mend(more);
    EXPECT_THAT(catalog::missing_to_distribute(node, {"s", "t"}), SizeIs(0));
    EXPECT_EQ(sqlstate_of(node, make), "");
}

TEST_F(Rights, ATableOfASuperuserIsGivenToTheRoleAndNoSuperuserToIt)
{
    administrator_->script("CREATE TABLE s.root (id bigint PRIMARY KEY)");
    pg::Connection node = as("app", "app");
    const std::vector<Finding> missing = catalog::missing_to_publish(node, {"s", "root"});
    ASSERT_THAT(missing, SizeIs(1));
    EXPECT_EQ(missing[0].fix, "ALTER TABLE \"s\".\"root\" OWNER TO app;");
}

TEST_F(Rights, ToMakeATableElsewhereAreNamedWithStatementsThatGiveThem)
{
    const catalog::TableDefinition table = catalog::read_table(*administrator_, {"s", "t"});
    pg::Connection node = as("app", "app");
    const std::string make = "BEGIN; CREATE TABLE s.made (id int); ALTER TABLE s.made OWNER TO owner; COMMIT";
    EXPECT_EQ(sqlstate_of(node, make), "42501");
    node.script("ROLLBACK");
    mend(catalog::missing_to_make(node, table));
    EXPECT_THAT(catalog::missing_to_make(node, table), SizeIs(0));
    EXPECT_EQ(sqlstate_of(node, make), "");
}

TEST_F(Rights, AreAskedByEachCommandBeforeItTouchesAnything)
{
    pg::Connection catalog = as("app", "catalog");
    const nlohmann::json made = catalog::init(catalog, "rights", "rights", false);
    EXPECT_FALSE(made["roles"].get<bool>()) << "app may not create roles, and init goes on";
    EXPECT_THAT(made["warnings"].dump(), HasSubstr("CREATE ROLE keyshift_operator NOLOGIN;"));
    EXPECT_THAT(catalog::doctor(catalog, {}).dump(), HasSubstr("role_missing"));
    const std::string dsn = as("app", "app").settings().conninfo;
    const auto refused = [](auto&& call) {
        try {
            call();
        } catch (const RefusedError& error) {
            return std::string(error.what());
        }
        return std::string("nothing was refused");
    };
    EXPECT_THAT(refused([&] {
                    catalog::add_node(catalog, {"n1", dsn, "", false});
                }),
                HasSubstr("As an administrator: ALTER ROLE app REPLICATION; GRANT CREATE ON DATABASE app TO app;"));
    administrator_->script("ALTER ROLE app REPLICATION; GRANT CREATE ON DATABASE app TO app");
    catalog::add_node(catalog, {"n1", dsn, "", false});
    EXPECT_THAT(refused([&] { catalog::capture(catalog, {"s.t"}, false, std::nullopt, false); }),
                HasSubstr("GRANT owner TO app"));
    EXPECT_THAT(refused([&] {
                    catalog::distribute(catalog, {"s.t", {"id"}, 4, "", true, false});
                }),
                HasSubstr("GRANT owner TO app"));
    const std::string plan = catalog::doctor(catalog, {{"s.t", "id"}}).dump();
    EXPECT_THAT(plan, HasSubstr("GRANT owner TO app"));
    EXPECT_THAT(plan, HasSubstr("GRANT USAGE, CREATE ON SCHEMA s TO owner;"));
    pg::Connection node = as("app", "app");
    mend(catalog::missing_to_publish(node, {"s", "t"}));
    EXPECT_THAT(refused([&] {
                    catalog::distribute(catalog, {"s.t", {"id"}, 4, "", true, false});
                }),
                HasSubstr("GRANT USAGE, CREATE ON SCHEMA s TO app;"));
    EXPECT_EQ(one(node, "SELECT relkind FROM pg_class WHERE oid = 's.t'::regclass"), "r") << "nothing was touched";
    mend(catalog::missing_to_distribute(node, {"s", "t"}));
    catalog::distribute(catalog, {"s.t", {"id"}, 4, "", true, false});
    EXPECT_EQ(
        one(node,
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 't\\_b%' AND pg_get_userbyid(relowner) = 'owner'"),
        "4");
    administrator_->script("CREATE ROLE keyshift_operator NOLOGIN; CREATE ROLE keyshift_reader NOLOGIN");
    EXPECT_TRUE(catalog::init(catalog, "rights", "rights", false)["roles"].get<bool>());
    EXPECT_EQ(one(catalog, "SELECT has_table_privilege('keyshift_reader', 'keyshift.job', 'SELECT') AND "
                           "NOT has_table_privilege('keyshift_reader', 'keyshift.job', 'INSERT') AND "
                           "has_table_privilege('keyshift_operator', 'keyshift.job', 'INSERT')"),
              "t");
    EXPECT_EQ(catalog::doctor(catalog, {}).dump().find("\"error\""), std::string::npos)
        << catalog::doctor(catalog, {}).dump(1);
}

} // namespace
} // namespace keyshift::test
