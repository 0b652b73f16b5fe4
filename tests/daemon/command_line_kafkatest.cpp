#include "tests/daemon/installation.hpp"

#include "catalog/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace keyshift::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Finished program(std::vector<std::string> arguments, const Environment& environment = {})
{
    arguments.insert(arguments.begin(), keyshift_binary());
    return run_program(arguments, environment);
}

TEST(CommandLine, EveryVerbHasHelpWithAnExample)
{
    for (const auto& verb : std::vector<std::vector<std::string>>{{"init"},
                                                                  {"deinit"},
                                                                  {"run"},
                                                                  {"reload"},
                                                                  {"doctor"},
                                                                  {"status"},
                                                                  {"version"},
                                                                  {"config"},
                                                                  {"config", "check"},
                                                                  {"config", "show"},
                                                                  {"route"},
                                                                  {"node"},
                                                                  {"node", "add"},
                                                                  {"node", "list"},
                                                                  {"node", "show"},
                                                                  {"node", "drain"},
                                                                  {"node", "set"},
                                                                  {"ddl"},
                                                                  {"node", "remove"},
                                                                  {"table", "capture"},
                                                                  {"table", "distribute"},
                                                                  {"table", "list"},
                                                                  {"table", "show"},
                                                                  {"reshard", "plan"},
                                                                  {"reshard", "start"},
                                                                  {"reshard", "list"},
                                                                  {"reshard", "status"},
                                                                  {"reshard", "pause"},
                                                                  {"reshard", "resume"},
                                                                  {"reshard", "cancel"},
                                                                  {"reshard", "rollback"},
                                                                  {"reshard", "verify"},
                                                                  {"reshard", "explain"},
                                                                  {"projection", "create"},
                                                                  {"projection", "list"},
                                                                  {"projection", "show"},
                                                                  {"projection", "verify"},
                                                                  {"projection", "pause"},
                                                                  {"projection", "resume"},
                                                                  {"projection", "drop"},
                                                                  {"projection", "repair"},
                                                                  {"projection", "rebuild"},
                                                                  {"projection", "rollback"},
                                                                  {"projection", "explain"},
                                                                  {"cdc", "status"},
                                                                  {"rejections", "list"},
                                                                  {"rejections", "retry"},
                                                                  {"rejections", "drop"},
                                                                  {"rejections", "show"}}) {
        auto arguments = verb;
        arguments.emplace_back("--help");
        const Finished help = program(arguments);
        EXPECT_EQ(help.status, 0) << verb.back();
        EXPECT_THAT(help.out, HasSubstr("Example: keyshift ")) << verb.back();
    }
}

TEST(CommandLine, WhatIsNotUnderstoodIsNamedAndExitsWithTwo)
{
    for (const auto& arguments :
         std::vector<std::vector<std::string>>{{"bogus"},
                                               {"node", "bogus"},
                                               {"reshard", "start", "--bogus"},
                                               {"version", "-o", "xml"},
                                               {},
                                               {"projection", "create", "p"},
                                               {"node", "set", "n2", "--dsn", "x", "--pin", "u/1"},
                                               {"node", "set", "n2", "--other-server"},
                                               {"reshard", "plan", "--by", "magic"}}) {
        const Finished done = program(arguments);
        EXPECT_EQ(done.status, 2) << (arguments.empty() ? "" : arguments.back());
        EXPECT_THAT(done.err, AllOf(StartsWith("error: "), HasSubstr("\n  why:  "), HasSubstr("\n  next: ")))
            << done.err;
        EXPECT_EQ(done.out, "");
    }
    EXPECT_THAT(program({"node", "bogus"}).err, HasSubstr("\"bogus\""));
}

TEST(CommandLine, NoPlaceSaysASecret)
{
    const TemporaryDirectory directory;
    const std::string file = directory.write(
        "k.toml",
        "[catalog]\ndsn = \"host=127.0.0.1 port=1 dbname=a password=hunter2\"\n[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n"
        "\"sasl.password\" = \"hunter2\"\n\"ssl.key.password\" = \"hunter2\"\n[cdc]\ntopic_prefix = \"app\"\n");
    for (const auto& verb : std::vector<std::vector<std::string>>{
             {"config", "show"}, {"config", "check"}, {"init"}, {"run"}, {"config", "show", "-o", "json"}}) {
        std::vector<std::string> arguments{"--config", file};
        arguments.insert(arguments.end(), verb.begin(), verb.end());
        const Finished done = program(arguments, {{"PGPASSWORD", "hunter2"}});
        EXPECT_EQ((done.out + done.err).find("hunter2"), std::string::npos) << verb.back() << done.out << done.err;
    }
    EXPECT_EQ(program({"--config", file, "init"}).status, 3);
}

TEST(CommandLine, ConfigCheckPrintsAllAndExitsWithThree)
{
    const TemporaryDirectory directory;
    const Finished done =
        program({"--config", directory.write("k.toml", "[catalog]\ndns = \"x\"\n[cdc]\npartitions = \"two\"\n"),
                 "config", "check"});
    EXPECT_EQ(done.status, 3);
    EXPECT_THAT(done.err, AllOf(HasSubstr("k.toml:2:1"), HasSubstr("Did you mean catalog.dsn?"), HasSubstr("k.toml:4:"),
                                HasSubstr("bootstrap.servers")));
}

TEST(CommandLine, DataGoesToStdoutInTheFormThatWasAskedFor)
{
    const Installation installation;
    installation.set_up();
    EXPECT_EQ(installation.json({"node", "list"}).at(0).at("node"), "n1");
    const Finished lines = installation.keyshift({"node", "list", "-o", "ndjson"});
    EXPECT_EQ(nlohmann::json::parse(lines.out).at("node"), "n1");
    EXPECT_THAT(installation.keyshift({"node", "list"}).out, StartsWith("node "));
    EXPECT_EQ(installation.json({"version"}).at("catalog_version"), catalog::kCatalogVersion);
    EXPECT_EQ(installation.keyshift({"--version"}).out, installation.keyshift({"version"}).out);
    const auto status = installation.json({"status"});
    EXPECT_EQ(status.at("daemon").at("running"), false);
    EXPECT_EQ(installation.json({"cdc", "status"}).at(0).at("state"), "waiting");
}

TEST(CommandLine, DryRunsChangeNothing)
{
    const Installation installation;
    installation.must({"init", "--dry-run"});
    EXPECT_EQ(installation.connect().query("SELECT to_regnamespace('keyshift')").is_null(0, 0), true);
    installation.must({"init"});
    installation.must({"node", "add", "n1", "--dsn", installation.database().conninfo(), "--dry-run"});
    EXPECT_EQ(installation.connect().query("SELECT count(*) FROM keyshift.node").integer(0, 0), 0);
}

TEST(CommandLine, DestructiveVerbsWantYesWhereNobodyCanBeAsked)
{
    const Installation installation;
    installation.set_up();
    const Finished refused = installation.keyshift({"deinit"});
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.err, HasSubstr("--yes"));
    EXPECT_EQ(installation.connect().query("SELECT count(*) FROM keyshift.node").integer(0, 0), 1);
    installation.must({"deinit", "--yes"});
    EXPECT_EQ(installation.connect()
                  .query("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()")
                  .integer(0, 0),
              0);
    EXPECT_EQ(installation.connect().query("SELECT to_regnamespace('keyshift')").is_null(0, 0), true);
}

TEST(CommandLine, WorkForTheDaemonIsQueuedAndWaitingForItCanBeLeft)
{
    const Installation installation(1);
    installation.set_up();
    installation.connect().script("CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text)");
    installation.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4", "--offline"});
    installation.connect().script("DELETE FROM keyshift.snapshot");
    installation.add_node(2);
    EXPECT_EQ(installation.json({"reshard", "plan"}).at("moves").size(), 2U);
    installation.must({"cdc", "pause", "n1"});
    const Finished paused = installation.keyshift({"reshard", "start"});
    EXPECT_EQ(paused.status, 5) << paused.err;
    EXPECT_THAT(paused.err, HasSubstr("the capture of n1 is paused"));
    installation.must({"cdc", "resume"});
    const Finished queued = installation.keyshift({"reshard", "start", "--wait", "--timeout", "1s"});
    EXPECT_EQ(queued.status, 124) << queued.err;
    EXPECT_THAT(queued.err, AllOf(HasSubstr("queued as 1; nothing happens until `keyshift run`"),
                                  HasSubstr("keyshift reshard status 1")));
    EXPECT_EQ(installation.json({"reshard", "status"}).at("total"), 2);
    EXPECT_THAT(installation.keyshift({"cdc", "pause"}).err, HasSubstr("reshard job 1 needs the streams"));
    EXPECT_EQ(installation.keyshift({"reshard", "start"}).status, 5) << "no second job beside an unfinished one";
    installation.must({"reshard", "pause", "1"});
    installation.must({"reshard", "resume", "1"});
    EXPECT_EQ(installation.json({"reshard", "pause"}), nlohmann::json::parse(R"({"job":1,"wanted":"pause"})"));
    EXPECT_EQ(installation.json({"reshard", "resume"}), nlohmann::json::parse(R"({"job":1,"wanted":"run"})"));
    EXPECT_EQ(installation.keyshift({"reshard", "cancel"}).status, 2) << "it wants the job";

    BackgroundProgram watching(
        {keyshift_binary(), "--config", installation.config_file(), "reshard", "status", "--watch"});
    ASSERT_TRUE(watching.wait_for_output("0 of 2 moved"));
    watching.signal(SIGINT);
    EXPECT_EQ(watching.wait(), 130);
    EXPECT_THAT(watching.output(), HasSubstr("the job goes on"));
    EXPECT_EQ(installation.json({"reshard", "status"}).at("state"), "running");

    const std::string watch = keyshift_binary() + " --config " + installation.config_file() + " reshard status --watch";
    BackgroundProgram on_a_terminal({"/usr/bin/script", "-qec", watch, "/dev/null"}, {{"TERM", "xterm"}});
    ASSERT_TRUE(on_a_terminal.wait_for_output("0 of 2 moved"));
    EXPECT_TRUE(on_a_terminal.wait_for_output("2 more wait for their turn"));
    EXPECT_THAT(on_a_terminal.output(), HasSubstr("\033[H\033[2Jjob 1: running"))
        << "each look takes the place of the one before";
    EXPECT_EQ(watching.output().find('\033'), std::string::npos) << "elsewhere there are no such characters";

    installation.must({"reshard", "cancel", "1", "--yes"});
}

} // namespace
} // namespace keyshift::test
