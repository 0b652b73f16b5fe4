#include "tests/daemon/installation.hpp"

#include "tests/support/private_postgres.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Table public.log captured, the daemon running; false: its rows are still being read into the topic.
bool capture_log(Installation& installation, const std::string& columns)
{
    installation.set_up();
    installation.connect().script("CREATE TABLE public.log (" + columns + ")");
    installation.must({"table", "capture", "log"});
    installation.start_daemon();
    return comes_true([&] {
        return installation.connect().query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0;
    });
}

TEST(Run, SigtermFlushesWhatWasCommittedAndExitsWithZero)
{
    Installation installation;
    // Rows that a snapshot still to come would read are sent by it too.
    ASSERT_TRUE(capture_log(installation, "id bigint PRIMARY KEY, line text"));
    pg::Connection connection = installation.connect();
    const std::string topic = installation.prefix() + ".public.log";
    connection.script("INSERT INTO public.log SELECT i, 'line ' || i FROM generate_series(1, 500) i");
    ASSERT_EQ(read_topic(installation.servers().kafka(), topic, 500).size(), 500U);
    connection.script("INSERT INTO public.log VALUES (501, 'as it stops')");
    EXPECT_EQ(installation.stop_daemon(), 0) << installation.daemon().output();
    installation.start_daemon();
    connection.script("INSERT INTO public.log VALUES (502, 'last')");
    ASSERT_GE(read_topic(installation.servers().kafka(), topic, 502).size(), 502U);
    EXPECT_EQ(installation.stop_daemon(), 0);
    EXPECT_EQ(read_topic(installation.servers().kafka(), topic).size(), 502U)
        << "nothing is sent twice after an orderly stop";
}

TEST(Run, ATableIsReadOnceMoreIntoItsTopicOnDemand)
{
    Installation installation;
    installation.set_up();
    pg::Connection connection = installation.connect();
    connection.script("CREATE TABLE public.log (id bigint PRIMARY KEY, line text);"
                      "INSERT INTO public.log SELECT i, 'line ' || i FROM generate_series(1, 10) i");
    installation.must({"table", "capture", "log"});
    const Finished early = installation.keyshift({"cdc", "snapshot", "log"});
    EXPECT_EQ(early.status, 5) << "the initial one is still to come";
    EXPECT_THAT(early.err, HasSubstr("1 of 1 parts are left"));
    installation.start_daemon();
    const std::string topic = installation.prefix() + ".public.log";
    ASSERT_EQ(read_topic(installation.servers().kafka(), topic, 10).size(), 10U);
    ASSERT_TRUE(comes_true([&] {
        return connection.query("SELECT count(*) FROM keyshift.snapshot WHERE state <> 'done'").integer(0, 0) == 0;
    }));
    const nlohmann::json done = installation.json({"cdc", "snapshot", "log", "--where", "id > 7", "--wait"});
    EXPECT_EQ(done.at("rows"), 3);
    const auto messages = read_topic(installation.servers().kafka(), topic, 13);
    ASSERT_EQ(messages.size(), 13U);
    EXPECT_THAT(messages.back().value.value(),
                AllOf(HasSubstr(R"("op":"r")"), HasSubstr(R"("snapshot":"incremental")")));
    EXPECT_EQ(installation.keyshift({"cdc", "snapshot", "log", "--where", "no_such > 7"}).status, 5);
}

TEST(Run, APausedStreamGoesOnWhereItEndedAlsoAfterARestart)
{
    Installation installation;
    ASSERT_TRUE(capture_log(installation, "id bigint PRIMARY KEY"));
    pg::Connection connection = installation.connect();
    const auto slot_is_active = [&] {
        return connection
                   .query("SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND active")
                   .integer(0, 0) == 1;
    };
    ASSERT_TRUE(comes_true(slot_is_active));
    EXPECT_EQ(installation.keyshift({"cdc", "pause", "n7"}).status, 5);
    installation.must({"cdc", "pause", "n1", "--dry-run"});
    EXPECT_TRUE(comes_true([&] { return installation.json({"cdc", "status"}).at(0).at("state") == "streaming"; }));
    EXPECT_EQ(installation.json({"cdc", "pause"}), nlohmann::json::parse(R"([{"node":"n1","capture":"paused"}])"));
    EXPECT_EQ(installation.json({"cdc", "pause"}), nlohmann::json::array());
    EXPECT_TRUE(comes_true([&] { return !slot_is_active(); }));
    EXPECT_EQ(installation.json({"cdc", "status"}).at(0).at("state"), "paused");
    EXPECT_TRUE(comes_true([&] {
        return installation.get("/metrics").body.find("keyshift_cdc_connected{node=\"n1\"} 0") != std::string::npos;
    }));
    connection.script("INSERT INTO public.log VALUES (1)");
    EXPECT_EQ(installation.stop_daemon(), 0);
    installation.start_daemon();
    connection.script("INSERT INTO public.log VALUES (2)");
    const std::string topic = installation.prefix() + ".public.log";
    EXPECT_FALSE(slot_is_active());
    installation.must({"cdc", "resume", "n1"});
    EXPECT_EQ(read_topic(installation.servers().kafka(), topic, 2).size(), 2U);
    EXPECT_TRUE(comes_true([&] { return installation.json({"cdc", "status"}).at(0).at("state") == "streaming"; }));
}

TEST(Run, AfterSigkillItStartsAgainAtOnce)
{
    Installation installation;
    installation.set_up();
    installation.start_daemon();
    installation.kill_daemon();
    installation.start_daemon();
    EXPECT_EQ(installation.stop_daemon(), 0);
}

TEST(Run, NodesThatComeAndGoGetAndLoseTheirStream)
{
    Installation installation(1);
    installation.set_up();
    installation.start_daemon();
    installation.add_node(2);
    EXPECT_TRUE(comes_true(
        [&] { return nlohmann::json::parse(installation.get("/healthz").body).at("nodes").contains("n2"); }));
    EXPECT_TRUE(comes_true([&] { return installation.get("/healthz").status == 200; }))
        << installation.get("/healthz").body;
    installation.must({"node", "remove", "n2", "--yes"});
    EXPECT_TRUE(comes_true(
        [&] { return !nlohmann::json::parse(installation.get("/healthz").body).at("nodes").contains("n2"); }));
}

TEST(Run, SighupTakesGoodSettingsAndRefusesBadOnes)
{
    Installation installation;
    installation.set_up();
    installation.start_daemon();
    installation.directory().write("keyshift.toml", installation.config_text("[reshard]\ngrace = \"never\"\n"));
    installation.daemon().signal(SIGHUP);
    ASSERT_TRUE(comes_true([&] {
        return installation.get("/metrics").body.find("keyshift_config_last_reload_successful 0") != std::string::npos;
    }));
    EXPECT_TRUE(installation.daemon().wait_for_output("reload refused"));
    installation.directory().write("keyshift.toml",
                                   installation.config_text("[reshard]\ngrace = \"3s\"\n[projection]\nworkers = 5\n"));
    installation.must({"reload"});
    ASSERT_TRUE(comes_true([&] {
        return installation.get("/metrics").body.find("keyshift_config_last_reload_successful 1") != std::string::npos;
    }));
    EXPECT_TRUE(installation.daemon().wait_for_output("[reshard] changed"));
    EXPECT_TRUE(installation.daemon().wait_for_output("projection.workers changed; it needs a restart"));
    EXPECT_EQ(installation.stop_daemon(), 0);
}

TEST(Run, APortInUseIsSaidBeforeAnythingIsTouched)
{
    Installation installation;
    installation.set_up();
    installation.start_daemon();
    Installation other;
    other.must({"init"});
    const Finished refused =
        other.keyshift({"run", "--set", fmt::format("http.listen=127.0.0.1:{}", installation.port())});
    EXPECT_EQ(refused.status, 1);
    EXPECT_THAT(refused.err, AllOf(HasSubstr("error: listening on"), HasSubstr("why:"), HasSubstr("[http] listen")));
    EXPECT_EQ(other.connect().query("SELECT count(*) FROM keyshift.daemon").integer(0, 0), 0);
}

TEST(Run, AnotherPrefixThanTheCatalogsIsRefused)
{
    const Installation installation;
    installation.set_up();
    const Finished refused = installation.keyshift({"run", "--set", "cdc.topic_prefix=other"});
    EXPECT_EQ(refused.status, 3);
    EXPECT_THAT(refused.err, HasSubstr("the catalog was made with \"" + installation.prefix() + "\""));
}

TEST(Run, ALostCatalogConnectionIsClaimedAgain)
{
    Installation installation;
    installation.set_up();
    installation.start_daemon();
    installation.connect().query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
    EXPECT_TRUE(installation.daemon().wait_for_output("claimed again"));
    EXPECT_TRUE(comes_true([&] { return installation.json({"status"}).at("daemon").at("running") == true; }));
    EXPECT_EQ(installation.stop_daemon(), 0);
}

TEST(Run, ALostSlotStopsThatNodeLoudlyAndNoOther)
{
    Installation installation(1);
    installation.set_up();
    installation.add_node(2);
    installation.start_daemon();
    ASSERT_TRUE(comes_true([&] { return installation.get("/healthz").status == 200; }));
    EXPECT_EQ(installation.stop_daemon(), 0);
    installation.connect(2).query(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()");
    installation.start_daemon();
    const auto health = [&] {
        return nlohmann::json::parse(installation.get("/healthz").body);
    };
    ASSERT_TRUE(comes_true([&] {
        return health().at("nodes").at("n2").at("state") == "stopped" &&
               health().at("nodes").at("n1").at("state") == "streaming";
    })) << health().dump(1);
    EXPECT_FALSE(health().at("nodes").at("n2").at("error").at("next").get<std::string>().empty());
    EXPECT_TRUE(health().at("workers").contains("stream n2"));
    EXPECT_EQ(installation.get("/livez").status, 200);
    EXPECT_EQ(installation.json({"cdc", "status"}).at(1).at("state"), "stopped");
    EXPECT_EQ(installation.stop_daemon(), 0);
}

TEST(Run, ANodeThatIsAwayIsWaitedForAndShown)
{
    Installation installation;
    PrivatePostgres server({"wal_level = logical"});
    installation.set_up();
    installation.must({"node", "add", "n2", "--dsn", server.conninfo()});
    server.stop("immediate");
    installation.start_daemon();
    ASSERT_TRUE(comes_true([&] {
        return nlohmann::json::parse(installation.get("/healthz").body).at("nodes").at("n2").at("state") == "waiting";
    }));
    EXPECT_EQ(installation.get("/livez").status, 200);
    EXPECT_EQ(installation.get("/healthz").status, 503);
    ASSERT_TRUE(comes_true([&] {
        return nlohmann::json::parse(installation.get("/healthz").body).at("nodes").at("n1").at("state") == "streaming";
    }));
    server.start();
    EXPECT_TRUE(comes_true([&] { return installation.get("/healthz").status == 200; }, 60))
        << installation.get("/healthz").body;
    EXPECT_EQ(installation.stop_daemon(), 0);
}

} // namespace
} // namespace keyshift::test
