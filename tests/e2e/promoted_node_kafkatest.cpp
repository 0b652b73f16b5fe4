// Corner 7: a node's standby is promoted that lacks the fence of one bucket, and the open of another.
#include "tests/daemon/installation.hpp"
#include "tests/support/private_postgres.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

constexpr int kUsers = 400;

std::string one(pg::Connection& connection, const std::string& sql)
{
    const pg::Result rows = connection.query(sql);
    return rows.rows() == 0 ? std::string("no row") : std::string(rows.text(0, 0));
}

std::string sqlstate_of(pg::Connection& connection, const std::string& sql)
{
    try {
        connection.script(sql);
    } catch (const pg::SqlError& error) {
        return error.sqlstate();
    }
    return {};
}

/// n1 is a server of its own with a standby; n2 and the catalog are elsewhere.
class PromotedNode : public testing::Test {
protected:
    PromotedNode()
    {
        pg::Connection(primary_.settings()).query("CREATE DATABASE app");
        standby_.emplace(primary_);
        connect(primary_).script(
            fmt::format("CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text);"
                        "INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, {}) i",
                        kUsers));
        installation_.directory().write("keyshift.toml", installation_.config_text("\n[reshard]\ngrace = \"0s\"\n"));
        installation_.must({"init"});
        installation_.must({"node", "add", "n1", "--dsn", primary_.conninfo("app")});
        installation_.add_node(2);
        installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "8", "--offline"});
        installation_.start_daemon();
        await("SELECT bool_and(state = 'done')::int FROM keyshift.snapshot");
    }

    /// Until the catalog answers 1.
    void await(const std::string& sql)
    {
        pg::Connection catalog = installation_.connect();
        ASSERT_TRUE(comes_true([&] { return one(catalog, sql) == "1"; }, 120)) << sql;
    }

    void move(const std::string& to, const std::string& buckets)
    {
        installation_.must({"reshard", "start", "--to", to, "--buckets", buckets, "--wait", "--timeout", "120s"});
        await("SELECT bool_and(state = 'done')::int FROM keyshift.move");
    }

    static pg::Connection connect(PrivatePostgres& server)
    {
        return pg::Connection({"n1", server.conninfo("app"), "", "test"});
    }

    /// The standby has everything until now; what comes is lost with the primary.
    void cut_off()
    {
        pg::Connection source = connect(primary_);
        const std::string now = one(source, "SELECT pg_current_wal_flush_lsn()");
        EXPECT_TRUE(comes_true(
            [&] {
                pg::Connection replica = connect(*standby_);
                return one(replica, "SELECT pg_last_wal_replay_lsn() >= '" + now + "'") == "t";
            },
            60));
        standby_->stop("fast");
    }

    void promote()
    {
        lost_at_ = connect(primary_).query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
        primary_.stop("immediate");
        standby_->start();
        standby_->promote();
    }

    /// What a SELECT answers on both nodes together.
    std::string everywhere(const std::string& select)
    {
        pg::Connection first = connect(*standby_);
        pg::Connection second = installation_.connect(2);
        std::set<std::string> rows;
        for (pg::Connection* node : {&first, &second}) {
            const pg::Result found = node->query(select);
            for (int row = 0; row < found.rows(); ++row) {
                EXPECT_TRUE(rows.insert(std::string(found.text(row, 0))).second) << "twice: " << found.text(row, 0);
            }
        }
        return fmt::format("{}", fmt::join(rows, "\n"));
    }

    static std::string a_key_of(pg::Connection& node, int bucket)
    {
        return one(
            node,
            fmt::format(
                "SELECT i FROM generate_series(1, {}) i WHERE keyshift.bucket_of('public.users', i::text) = {} LIMIT 1",
                kUsers, bucket));
    }

    std::map<int, std::string> states(const nlohmann::json& done)
    {
        std::map<int, std::string> found;
        for (const auto& bucket : done["buckets"]) {
            found[bucket["bucket"].get<int>()] = bucket["state"].get<std::string>();
        }
        return found;
    }

    Installation installation_{1};
    PrivatePostgres primary_{{"synchronous_commit = local"}};
    std::optional<PrivatePostgres> standby_;
    Lsn lost_at_; ///< where the primary was when it ended
};

TEST_F(PromotedNode, WhatItLostOfFencesAndOpensIsMendedAndWhatWasWrittenIsReported)
{
    move("n2", "5");
    cut_off();
    move("n2", "2,3"); // their fences on n1 are lost
    move("n1", "5");   // its open on n1 is lost
    pg::Connection catalog = installation_.connect();
    promote();
    pg::Connection node = connect(*standby_);
    const std::string stray = a_key_of(node, 2);
    EXPECT_EQ(sqlstate_of(node, "UPDATE public.users SET name = 'stray' WHERE user_id = " + stray), "")
        << "it does not know that the bucket left";

    const Finished refused =
        installation_.keyshift({"node", "set", "n1", "--dsn", installation_.database(2).conninfo()});
    EXPECT_EQ(refused.status, 5);
    EXPECT_THAT(refused.err, HasSubstr("the database is node n2"));

    const Finished set =
        installation_.keyshift({"node", "set", "n1", "--dsn", standby_->conninfo("app"), "-o", "json"});
    EXPECT_EQ(set.status, 6) << set.err;
    const nlohmann::json done = nlohmann::json::parse(set.out);
    EXPECT_EQ(states(done)[2], "written") << done.dump(1);
    EXPECT_EQ(states(done)[3], "fenced_again") << done.dump(1);
    EXPECT_EQ(states(done)[5], "not_open") << done.dump(1);
    EXPECT_GT(done["timeline"]["now"], done["timeline"]["before"]);
    EXPECT_EQ(done["recovered"]["tables"][0], "public.users") << "its slot did not come along: " << done.dump(1);
    EXPECT_FALSE(done["recovered"]["gap_from"].is_null());

    for (int bucket : {2, 3, 5}) {
        EXPECT_EQ(sqlstate_of(node, fmt::format("INSERT INTO public.users VALUES ({}, 'x') ON CONFLICT DO NOTHING",
                                                a_key_of(node, bucket))),
                  "KS001");
    }
    EXPECT_EQ(one(node, "SELECT count(*) FROM public.users_b2 WHERE name = 'stray'"), "1") << "kept, not merged";
    EXPECT_EQ(one(node, "SELECT count(*) FROM public.users_b3"), "0");
    pg::Connection second = installation_.connect(2);
    EXPECT_EQ(one(second, "SELECT count(*) FROM public.users WHERE name = 'stray'"), "0");
    EXPECT_EQ(
        one(second,
            "SELECT count(*) FROM keyshift.placement p JOIN keyshift.local_placement l USING (group_name, bucket) "
            "WHERE p.node = 'n1' AND l.port = " +
                std::to_string(standby_->port())),
        "6");
    EXPECT_TRUE(comes_true(
        [&] { return one(catalog, "SELECT state FROM keyshift.stream_status WHERE node = 'n1'") == "streaming"; },
        120));
    EXPECT_EQ(sqlstate_of(node, "UPDATE public.users SET name = 'kept' WHERE user_id = " + a_key_of(node, 1)), "");
}

TEST_F(PromotedNode, IsComparedByTheDaemonAtItsConnectToo)
{
    cut_off();
    move("n2", "2");
    promote();
    pg::Connection catalog = installation_.connect();
    // The server has the same name as before, as behind a virtual address.
    installation_.stop_daemon();
    catalog.query("UPDATE keyshift.node SET dsn = $1 WHERE name = 'n1'", {standby_->conninfo("app")});
    installation_.start_daemon();
    pg::Connection node = connect(*standby_);
    EXPECT_TRUE(comes_true(
        [&] { return one(node, "SELECT state FROM keyshift.local_bucket WHERE bucket = 2") == "closed"; }, 60));
    EXPECT_EQ(one(node, "SELECT count(*) FROM public.users_b2"), "0") << "nothing was written: it is cleared";
    EXPECT_EQ(sqlstate_of(node, fmt::format("INSERT INTO public.users VALUES ({}, 'x')", a_key_of(node, 2))), "KS001");
}

TEST_F(PromotedNode, ProjectionsAreOfWhatItHasThoughKafkaHasWhatItLost)
{
    installation_.must({"projection", "create", "by_name", "--key", "name", "--buckets", "4", "--apply", "--sql",
                        "SELECT name, user_id FROM users"});
    await("SELECT (state = 'live')::int FROM keyshift.projection WHERE serving");
    cut_off();
    pg::Connection source = connect(primary_);
    source.script("UPDATE public.users SET name = 'lost ' || user_id WHERE user_id <= 100;"
                  "DELETE FROM public.users WHERE user_id BETWEEN 101 AND 150;"
                  "INSERT INTO public.users SELECT i, repeat('lost', 200) || i FROM generate_series(1001, 3000) i");
    source.script("SELECT keyshift.wait_for('public.by_name', keyshift.token(), '120 s')");
    promote();
    EXPECT_EQ(installation_.keyshift({"node", "set", "n1", "--dsn", standby_->conninfo("app")}).status, 0);
    pg::Connection node = connect(*standby_);
    node.script("UPDATE public.users SET name = 'kept ' || user_id WHERE user_id <= 50;"
                "DELETE FROM public.users WHERE user_id BETWEEN 140 AND 160");
    EXPECT_LT(node.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0), lost_at_) << "else this shows nothing";
    node.script("SELECT keyshift.wait_for('public.by_name', keyshift.token(), '180 s')");
    EXPECT_EQ(everywhere("SELECT name || ' ' || user_id FROM public.by_name"),
              everywhere("SELECT name || ' ' || user_id FROM public.users"));
    const Finished verified = installation_.keyshift({"projection", "verify", "by_name"});
    EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
    EXPECT_EQ(one(node, "SELECT count(*) FROM keyshift.projection_source WHERE node = 'n1'"), "1");
}

} // namespace
} // namespace keyshift::test
