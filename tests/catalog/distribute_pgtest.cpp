// The way of a schema from one PostgreSQL to a cluster: doctor, its DDL, distribute, a second node.
#include "tests/catalog/cluster.hpp"

#include "catalog/node_sql.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

const std::vector<std::pair<std::string, std::string>> kPlan = {
    {"users", "user_id"}, {"posts", "user_id"}, {"interactions", "post_id"}};

std::vector<std::string> checks_of(const nlohmann::json& findings)
{
    std::vector<std::string> checks;
    for (const auto& finding : findings) {
        checks.push_back(finding["check"]);
    }
    return checks;
}

/// n1 with the unsharded schema, mended by doctor and distributed.
class Sharded : public testing::Test {
protected:
    Sharded()
    {
        cluster.add_database().connect().script(kUnshardedSchema);
        cluster.add_node(0);
        pg::Connection n1 = cluster.connect(0);
        for (const auto& finding : catalog::doctor(cluster.catalog(), kPlan)) {
            n1.script(finding["fix"].get<std::string>());
        }
        cluster.distribute("users", {"user_id"});
        cluster.distribute("posts", {"user_id"}, "users");
        cluster.distribute("interactions", {"post_id"});
    }
    Cluster cluster;
};

TEST(NodeAdd, makes_a_slot_that_standbys_keep_where_the_server_can)
{
    Cluster cluster;
    pg::Connection n1 = cluster.add_database().connect();
    cluster.add_node(0);
    const std::string slot = "FROM pg_replication_slots WHERE database = current_database() AND plugin = 'pgoutput'";
    EXPECT_EQ(one(n1, "SELECT count(*) " + slot), "1");
    if (n1.server_version() >= 170000) {
        EXPECT_EQ(one(n1, "SELECT failover " + slot), "t");
    }
}

TEST(Init, brings_a_catalog_of_an_older_version_and_its_nodes_up_to_date)
{
    Cluster cluster;
    pg::Connection n1 = cluster.add_database().connect();
    n1.script("CREATE TABLE public.t (k bigint PRIMARY KEY)");
    cluster.add_node(0);
    cluster.catalog().script("UPDATE keyshift.meta SET value = '1' WHERE key = 'version';"
                             "ALTER TABLE keyshift.captured_table DROP COLUMN epoch; DROP TABLE keyshift.split");
    n1.script("DROP TABLE keyshift.projection_source CASCADE");
    try {
        cluster.distribute("t", {"k"});
        FAIL() << "a catalog of an older version was used";
    } catch (const RefusedError& error) {
        EXPECT_THAT(error.what(), HasSubstr("keyshift init"));
    }
    EXPECT_EQ(catalog::init(cluster.catalog(), cluster.name(), cluster.name(), false)["created"], false);
    EXPECT_EQ(one(n1, "SELECT to_regclass('keyshift.projection_source') IS NOT NULL"), "t");
    cluster.distribute("t", {"k"});
    EXPECT_EQ(found_by_doctor(cluster.catalog()), nlohmann::json::array());
}

TEST(Doctor, finds_both_faults_and_its_ddl_mends_them_in_the_order_printed)
{
    TestDatabase plain;
    pg::Connection connection = plain.connect("catalog");
    connection.script(kUnshardedSchema);
    const nlohmann::json findings = catalog::doctor(connection, kPlan);
    EXPECT_THAT(checks_of(findings),
                testing::UnorderedElementsAre("foreign_key_crosses_shards", "key_column_nullable",
                                              "primary_key_lacks_shard_key", "primary_key_lacks_shard_key"));
    for (const auto& finding : findings) {
        connection.script(finding["fix"].get<std::string>());
    }
    EXPECT_EQ(catalog::doctor(connection, kPlan), nlohmann::json::array());
}

TEST_F(Sharded, keeps_every_row_in_the_leaf_that_bucket_of_names)
{
    pg::Connection n1 = cluster.connect(0);
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.users"), "200");
    EXPECT_EQ(
        one(n1,
            "SELECT count(*) FROM public.posts WHERE tableoid::regclass::text <> 'public.posts_b' || keyshift.bucket_of('public.posts', user_id::text)"),
        "0");
    EXPECT_EQ(
        one(n1,
            "SELECT count(*) FROM public.interactions WHERE tableoid::regclass::text = 'public.interactions_b' || keyshift.bucket_of('public.interactions', post_id::text)"),
        "600");
    EXPECT_EQ(one(n1, "SELECT obj_description('public.posts'::regclass)"), "what users write");
    EXPECT_EQ(
        sqlstate_of(
            n1,
            "INSERT INTO public.interactions SELECT interaction_id, post_id, user_id, 'shrug' FROM public.interactions LIMIT 1"),
        "23514");
    EXPECT_EQ(sqlstate_of(n1, "INSERT INTO public.posts VALUES (DEFAULT, public.uuid_generate_v4(), 'of nobody')"),
              "23503");
    EXPECT_EQ(found_by_doctor(cluster.catalog()), nlohmann::json::array());
    EXPECT_EQ(catalog::doctor(cluster.catalog(), kPlan), nlohmann::json::array());
}

TEST_F(Sharded, gives_a_second_node_placeholders_that_name_the_owner)
{
    cluster.add_database();
    cluster.add_node(1);
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(one(n2, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.posts'::regclass"), "8");
    EXPECT_EQ(one(n2, "SELECT extname FROM pg_extension WHERE extname = 'uuid-ossp'"), "uuid-ossp");
    try {
        n2.script("INSERT INTO public.users VALUES ('123e4567-e89b-12d3-a456-426614174000', 'stray')");
        FAIL() << "a placeholder took a row";
    } catch (const pg::SqlError& error) {
        EXPECT_EQ(error.sqlstate(), "KS001");
        EXPECT_THAT(error.what(), HasSubstr("of users moved to node n1 (epoch 1)"));
    }
    EXPECT_EQ(found_by_doctor(cluster.catalog()), nlohmann::json::array());
    EXPECT_EQ(one(n2, "SELECT keyshift.node_of('public.posts', '123e4567-e89b-12d3-a456-426614174000')"), "n1");
}

} // namespace
} // namespace keyshift::test
