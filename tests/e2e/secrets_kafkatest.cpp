// INV-OPS-2: after a run with errors, nothing that was planted is found in logs, metrics, HTTP, commands or the catalog.
#include "tests/daemon/installation.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sys/stat.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPlanted = "PLANTED"; // what every secret and every value below begins with

class Secrets : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.must({"init"});
        installation_.must({"node", "add", "n1", "--dsn", installation_.database().conninfo(), "--password-file",
                            secret_file("node")});
        connection_.script(
            "CREATE TABLE public.people (name text PRIMARY KEY, card text, mail text, note text);"
            "INSERT INTO public.people VALUES ('PLANTED key 1', 'PLANTED card', 'PLANTED mail', 'PLANTED note')");
    }

    std::string secret_file(const std::string& name) const
    {
        std::string path = installation_.directory().write(name, fmt::format("PLANTED {}\n", name));
        ::chmod(path.c_str(), 0600);
        return path;
    }

    /// What a person may see of the running daemon and of the catalog.
    std::map<std::string, std::string> all_that_is_said()
    {
        std::map<std::string, std::string> said{{"the log", installation_.daemon().output()}};
        for (const char* const target :
             {"/metrics", "/healthz", "/readyz", "/v1/status", "/v1/nodes", "/v1/jobs", "/v1/projections", "/"}) {
            said[target] = installation_.get(target).body;
        }
        for (const std::vector<std::string>& command : {std::vector<std::string>{"cdc", "status"},
                                                        {"status"},
                                                        {"node", "list"},
                                                        {"node", "show", "n1"},
                                                        {"table", "list"},
                                                        {"table", "show", "people"},
                                                        {"doctor"},
                                                        {"config", "show"}}) {
            for (const char* const form : {"table", "json"}) {
                std::vector<std::string> words = command;
                words.insert(words.end(), {"-o", form});
                const Finished done = installation_.keyshift(words, environment_);
                said[fmt::format("{} {}", fmt::join(command, " "), form)] = done.out + done.err;
            }
        }
        const pg::Result tables = connection_.query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'keyshift'::regnamespace AND relkind = 'r'");
        for (int row = 0; row < tables.rows(); ++row) {
            // How far a snapshot has come is a key; it is there to go on from, and goes when it is done.
            const std::string name(tables.text(row, 0));
            const std::string leave_out = name == "snapshot" ? " - 'last_key'" : "";
            said["catalog " + name] =
                connection_
                    .query(fmt::format("SELECT coalesce(string_agg((to_jsonb(t){})::text, ' '), '') FROM keyshift.{} t",
                                       leave_out, name))
                    .text(0, 0);
        }
        return said;
    }

    void expect_nothing_planted()
    {
        for (const auto& [where, text] : all_that_is_said()) {
            EXPECT_FALSE(text.empty() && where == "the log");
            EXPECT_THAT(text, Not(HasSubstr(kPlanted))) << where;
            EXPECT_THAT(text, Not(HasSubstr("504c414e544544"))) << where << " in hexadecimal";
        }
    }

    bool topic_has(std::size_t records)
    {
        return read_topic(installation_.servers().kafka(), installation_.prefix() + ".public.people").size() >= records;
    }

    Installation installation_;
    pg::Connection connection_ = installation_.connect();
    const Environment environment_{{"KEYSHIFT_CATALOG__PASSWORD_FILE", secret_file("catalog")},
                                   {"KEYSHIFT_CDC__HASH_SALT_FILE", secret_file("salt")},
                                   {"KEYSHIFT_LOG__LEVEL", "debug"}};
};

TEST_F(Secrets, AreNowhereToBeFoundAfterARunWithErrors) // INV-OPS-2
{
    const Finished captured =
        installation_.keyshift({"table", "capture", "people", "--mask", "card=hidden", "--hash", "mail"}, environment_);
    ASSERT_EQ(captured.status, 0) << captured.err;
    installation_.start_daemon(environment_);
    ASSERT_TRUE(comes_true([&] { return topic_has(1); }));

    // The stream is cut, and comes back.
    connection_.query(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL AND database = current_database()");
    connection_.script(
        "INSERT INTO public.people VALUES ('PLANTED key 2', 'PLANTED card', 'PLANTED mail', 'PLANTED note')");
    ASSERT_TRUE(comes_true([&] { return topic_has(2); }));
    expect_nothing_planted();

    // A record that no broker takes stops it.
    connection_.script(
        "INSERT INTO public.people VALUES ('PLANTED key 3', 'PLANTED card', 'PLANTED mail', repeat('PLANTED', 500000))");
    ASSERT_TRUE(comes_true([&] {
        return installation_.json({"cdc", "status"}).at(0).at("state") == "stopped";
    })) << installation_.json({"cdc", "status"});
    expect_nothing_planted();

    // What is masked and hashed does not reach Kafka, and neither does the salt.
    for (const kafka::Message& message :
         read_topic(installation_.servers().kafka(), installation_.prefix() + ".public.people")) {
        const std::string value = message.value.value_or("");
        for (const char* const hidden : {"PLANTED card", "PLANTED mail", "PLANTED salt"}) {
            EXPECT_THAT(value, Not(HasSubstr(hidden)));
        }
        EXPECT_THAT(value, HasSubstr("PLANTED note")) << "the columns that are not hidden are there";
    }
    installation_.kill_daemon();
}

TEST_F(Secrets, ARefusedCommandDoesNotRepeatThePasswordItWasGiven) // INV-OPS-2
{
    const std::string dsn = installation_.database().conninfo() + " password=PLANTED";
    const std::vector<std::vector<std::string>> commands{
        {"node", "add", "n2", "--dsn", dsn},
        {"node", "add", "n2", "--dsn", "postgresql://postgres:PLANTED@127.0.0.1:1/x"},
        {"--set", "catalog.dsn=host=127.0.0.1 port=1 password=PLANTED", "status"},
        {"--set", "catalog.dsn=postgresql://u:PLANTED@127.0.0.1:1/x", "status"},
        {"--set", "catalog.dsn=postgresql://u:PLANTED@", "config", "show"},
        {"--set", "kafka.sasl.password=PLANTED", "config", "show"},
        {"--set", "catalog.dsn=password=PLANTED broken", "status"}};
    for (const std::vector<std::string>& command : commands) {
        const Finished done = installation_.keyshift(command);
        EXPECT_THAT(done.out + done.err, Not(HasSubstr(kPlanted))) << fmt::format("{}", fmt::join(command, " "));
    }
}

} // namespace
} // namespace keyshift::test
