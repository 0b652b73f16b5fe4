// `node set --dsn` with a real standby that is promoted in its primary's place.
#include "resharder/commands/node_address.hpp"

#include "catalog/operations.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "tests/support/private_postgres.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string one(pg::Connection& connection, const std::string& sql)
{
    const pg::Result rows = connection.query(sql);
    return rows.rows() == 0 ? std::string("no row") : std::string(rows.text(0, 0));
}

std::string refusal(pg::Connection& catalog, const std::string& dsn, bool other_server = false)
{
    try {
        resharder::set_node_address(catalog, {"n1", dsn, std::nullopt, other_server, false});
    } catch (const RefusedError& error) {
        return error.what();
    }
    return "nothing was refused";
}

TEST(NodeAddress, APromotedStandbyTakesThePlaceOfItsPrimaryAndNobodyElseDoes)
{
    TestDatabase catalog_database(1, "catalog");
    TestDatabase second(2, "node");
    PrivatePostgres primary({"synchronous_commit = local"});
    pg::Connection(primary.settings()).query("CREATE DATABASE app");
    pg::Connection catalog = catalog_database.connect("catalog");
    const std::string name = unique_name("cluster");
    catalog::init(catalog, name, name, false);
    pg::Connection({"n1", primary.conninfo("app"), "", "test"})
        .script(
            "CREATE TABLE public.users (user_id bigint PRIMARY KEY); INSERT INTO public.users SELECT generate_series(1, 100)");
    catalog::add_node(catalog, {"n1", primary.conninfo("app"), "", false});
    catalog::add_node(catalog, {"n2", second.conninfo(), "", false});
    catalog::distribute(catalog, {"users", {"user_id"}, 4, "", true, false});
    PrivatePostgres standby(primary, {"hot_standby = on"});

    EXPECT_THAT(refusal(catalog, second.conninfo()), HasSubstr("the database is node n2"));
    EXPECT_THAT(refusal(catalog, catalog_database.conninfo()), HasSubstr("the database is no node"));
    EXPECT_THAT(refusal(catalog, standby.conninfo("app")), HasSubstr("it is a standby"));
    EXPECT_THAT(refusal(catalog, standby.conninfo("app") + " password=x"), HasSubstr("password"));
    catalog.query("UPDATE keyshift.node SET system_identifier = '42' WHERE name = 'n1'");
    EXPECT_THAT(refusal(catalog, primary.conninfo("app")), HasSubstr("neither the same server nor a standby of it"));
    catalog.query(
        "UPDATE keyshift.node SET system_identifier = $1 WHERE name = 'n1'",
        {pg::Connection(primary.settings()).query("SELECT system_identifier FROM pg_control_system()").text(0, 0)});

    pg::Connection source(primary.settings());
    pg::Connection replica(standby.settings());
    const std::string now = one(source, "SELECT pg_current_wal_flush_lsn()");
    while (one(replica, "SELECT pg_last_wal_replay_lsn() >= '" + now + "'") != "t") {
        sleep_for(50ms, {});
    }
    primary.stop("immediate");
    standby.promote();
    const nlohmann::json done =
        resharder::set_node_address(catalog, {"n1", standby.conninfo("app"), std::nullopt, false, false});
    EXPECT_GT(done["timeline"]["now"], done["timeline"]["before"]);
    EXPECT_TRUE(done["buckets"].empty()) << "nothing had moved: " << done.dump(1);
    EXPECT_EQ(done["recovered"]["tables"][0], "public.users") << "its slot did not come along: " << done.dump(1);
    EXPECT_FALSE(done["recovered"]["begins_at"].is_null());
    EXPECT_EQ(one(catalog, "SELECT port FROM keyshift.node WHERE name = 'n1'"), std::to_string(standby.port()));
    pg::Connection other = second.connect();
    EXPECT_EQ(one(other, "SELECT string_agg(DISTINCT port::text, ',') FROM keyshift.local_placement WHERE node = 'n1'"),
              std::to_string(standby.port()));
    EXPECT_EQ(one(catalog, "SELECT count(*) FROM keyshift.snapshot WHERE node = 'n1'"), "4") << "read again";
    pg::Connection moved({"n1", standby.conninfo("app"), "", "test"});
    EXPECT_EQ(one(moved, "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'keyshift%'"), "1");
    EXPECT_EQ(one(moved, "SELECT count(*) FROM public.users"), "100");
}

} // namespace
} // namespace keyshift::test
