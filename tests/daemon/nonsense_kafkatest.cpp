// Nonsense in flags and in the configuration file: docs/interface.md has the exit status, the error has its three parts.
#include "tests/daemon/nonsense.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

TEST(NonsenseFlags, AreNamedAndExitWithTwo)
{
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"--bogus"},
                                               {"-x", "status"},
                                               {""},
                                               {"status", ""},
                                               {"--config"},
                                               {"status", "-o"},
                                               {"status", "-o", ""},
                                               {"table", "capture"},
                                               {"table", "capture", "--all", "--mask"},
                                               {"table", "distribute", "items"},
                                               {"table", "distribute", "items", "--key", "id", "--buckets", "some"},
                                               {"table", "distribute", "items", "--key", "id", "--buckets", "-4"},
                                               {"node", "add"},
                                               {"node", "add", "n2"},
                                               {"node", "add", "n2", "--dsn"},
                                               {"cdc", "snapshot"},
                                               {"cdc", "snapshot", "items", "--where"},
                                               {"cdc", "recover"},
                                               {"reshard", "plan", "--buckets", "1;2", "--to", "n1"},
                                               {"reshard", "status", "one"},
                                               {"route", "items"},
                                               {"route"}}) {
        std::vector<std::string> command{keyshift_binary()};
        command.insert(command.end(), arguments.begin(), arguments.end());
        const Finished done = run_program(command);
        EXPECT_EQ(done.status, 2) << joined(arguments) << "\n" << done.err;
        expect_three_parts(done, joined(arguments));
    }
}

class NonsenseConfig : public testing::Test {
protected:
    Finished check(const std::string& file)
    {
        return run_program({keyshift_binary(), "--config", file, "config", "check"});
    }
    /// The place is named unless the text is no TOML at all.
    void expect_refused(const std::string& text, const std::string& said)
    {
        const Finished done = check(directory_.write("k.toml", text));
        EXPECT_EQ(done.status, 3) << text << "\n" << done.err;
        expect_three_parts(done, text);
        EXPECT_THAT(done.err, HasSubstr(said)) << text;
    }
    std::string with(const std::string& more) const { return kGood + more; }

    const std::string kGood = "[catalog]\ndsn = \"host=127.0.0.1 port=1 dbname=a\"\n[kafka]\n"
                              "\"bootstrap.servers\" = \"127.0.0.1:1\"\n[cdc]\ntopic_prefix = \"app\"\n";
    TemporaryDirectory directory_;
};

TEST_F(NonsenseConfig, OfWrongTypesAndUnknownNamesIsRefusedWithItsPlace)
{
    EXPECT_EQ(check(directory_.write("k.toml", kGood)).status, 0);
    for (const char* value :
         {"\"two\"", "2.5", "true", "[2]", "{n = 2}", "-1", "0", "99999999999999999999", "1979-05-27", ""}) {
        expect_refused(with(fmt::format("partitions = {}\n", value)), "k.toml:7");
    }
    for (const char* value : {"1", "\"yes\"", "[]", "{}"}) {
        expect_refused(with(fmt::format("tombstones = {}\n", value)), "k.toml:7");
    }
    for (const char* value : {"5", "\"\"", "\"1 fortnight\"", "\"-1s\"", "\"s\"", "[\"1s\"]"}) {
        expect_refused(with(fmt::format("heartbeat_interval = {}\n", value)), "k.toml:7");
    }
    for (const char* line : {"partition = 2", "\"\" = 1", "\"topic_prefix \" = \"x\"", "Partitions = 2",
                             "[cdcs]\nx = 1", "[cdc.more]\nx = 1"}) {
        expect_refused(with(fmt::format("{}\n", line)), "k.toml:");
    }
    expect_refused("cdc = 1\n", "k.toml:1");
    expect_refused(kGood + kGood, "k.toml:");
    expect_refused(with("partitions = 2\npartitions = 3\n"), "k.toml:8");
    expect_refused(with("binary = \"base65\"\n"), "k.toml:7");
}

TEST_F(NonsenseConfig, ThatIsNoTextOrNoFileIsRefused)
{
    expect_refused("", "catalog.dsn");
    expect_refused(std::string("\0\0\0\0", 4), "k.toml");
    expect_refused("\xff\xfe[catalog]\n", "k.toml");
    expect_refused("{\"catalog\": {}}", "k.toml:1");
    expect_refused(std::string(200'000, '['), "k.toml");
    expect_refused("x = " + std::string(100'000, '['), "k.toml");
    expect_refused(with("spool_directory = \"" + std::string("a\\u0000b") + "\"\n"), "k.toml");
    for (const std::string& file :
         {directory_.path(), directory_.path() + "/none.toml", std::string("/dev/null"), std::string("")}) {
        const Finished done = check(file);
        EXPECT_EQ(done.status, 3) << file << done.err;
        expect_three_parts(done, file);
    }
}

TEST_F(NonsenseConfig, ASecretThatCannotBeReadIsRefusedBeforeAnythingIsReached)
{
    const auto refused = [&](const std::string& file, const std::string& said) {
        const std::string text = "[catalog]\ndsn = \"host=127.0.0.1 port=1 dbname=a\"\npassword_file = \"" + file +
                                 "\"\n" + kGood.substr(kGood.find("[kafka]"));
        const Finished done = run_program({keyshift_binary(), "--config", directory_.write("k.toml", text), "status"});
        EXPECT_EQ(done.status, 3) << file << done.err;
        expect_three_parts(done, file);
        EXPECT_THAT(done.err, HasSubstr(said));
        EXPECT_EQ(done.err.find("hunter2"), std::string::npos);
    };
    const std::string file = directory_.write("secret", "hunter2\n");
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    refused(file, "others");
    refused(directory_.path() + "/none", "none");
    refused(directory_.path(), directory_.path());
}

} // namespace
} // namespace keyshift::test
