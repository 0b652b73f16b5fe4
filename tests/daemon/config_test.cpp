#include "daemon/config.hpp"
#include "daemon/config_keys.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace keyshift::daemon {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr const char* kGood =
    "[catalog]\ndsn = \"host=127.0.0.1 dbname=app\"\n[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:9\"\n[cdc]\ntopic_prefix = \"app\"\n";

LoadedConfig load(const std::string& text, const std::map<std::string, std::string>& flags = {})
{
    const test::TemporaryDirectory directory;
    return load_config(directory.write("k.toml", text), flags);
}

/// "where|why|next" of every problem.
std::vector<std::string> problems(const std::string& text, const std::map<std::string, std::string>& flags = {})
{
    std::vector<std::string> all;
    for (const ConfigProblem& problem : load(text, flags).problems) {
        all.push_back(problem.where + "|" + problem.why + "|" + problem.next);
    }
    return all;
}

TEST(Config, TheSmallestFileIsEnoughAndTheRestAreDefaults)
{
    const LoadedConfig loaded = load(kGood);
    EXPECT_TRUE(loaded.problems.empty());
    EXPECT_EQ(loaded.config.cdc.partitions, 8);
    EXPECT_EQ(loaded.config.reshard.grace, 10min);
    EXPECT_EQ(loaded.config.http_listen, "127.0.0.1:8642");
    EXPECT_EQ(loaded.config.cluster_name(), "app");
    EXPECT_EQ(loaded.config.cdc.kafka.at("bootstrap.servers"), "127.0.0.1:9");
    EXPECT_EQ(loaded.origins.at("cdc.partitions"), "default");
}

TEST(Config, AnUnknownKeyIsNamedWithItsPlaceAndTheNearestKnownOne)
{
    EXPECT_THAT(problems(std::string(kGood) + "partitoins = 4\n"),
                Contains(AllOf(HasSubstr("k.toml:7:1"), HasSubstr("cdc.partitoins"),
                               HasSubstr("Did you mean cdc.partitions?"))));
    EXPECT_THAT(problems(std::string(kGood) + "[reshrd]\ngrace = \"1s\"\n"),
                Contains(AllOf(HasSubstr("k.toml:7:"), HasSubstr("reshrd"))));
}

TEST(Config, EveryProblemIsReportedAtOnce)
{
    const auto found = problems(
        "[catalog]\ndsn = \"host=h password=secret1\"\n[kafka]\n\"bootstrap.server\" = \"x\"\n\"acks\" = \"never\"\n[cdc]\ntopic_prefix = \"a b\"\n"
        "partitions = 0\ntombstones = \"yes\"\n[reshard]\ngrace = \"soon\"\nmax_copy_rate = \"9QiB\"\n[http]\nlisten = \"here\"\n");
    for (const char* word :
         {"catalog.dsn", "bootstrap.server\"", "acks", "bootstrap.servers", "topic_prefix", "cdc.partitions",
          "cdc.tombstones", "reshard.grace", "reshard.max_copy_rate", "http.listen"}) {
        EXPECT_THAT(found, Contains(HasSubstr(word))) << word;
    }
    EXPECT_THAT(found, Not(Contains(HasSubstr("secret1"))));
}

struct BadValue {
    const char* line;
    const char* word;
};

TEST(Config, AWrongTypeOrRangeIsRefusedWithWhatIsExpected)
{
    for (const auto& [line, word] :
         {BadValue{"partitions = \"4\"", "a whole number"}, BadValue{"partitions = 4.5", "a whole number"},
          BadValue{"partitions = 20000", "from 1 to 10000"}, BadValue{"truncate = 1", "true or false"},
          BadValue{"heartbeat_interval = 5", "a duration"}, BadValue{"heartbeat_interval = \"5 parsecs\"", "duration"},
          BadValue{"decimal = \"roman\"", "precise"}, BadValue{"schemas = [true]", "true or false"},
          BadValue{"max_transaction_memory = \"-1\"", "size"}}) {
        EXPECT_THAT(problems(std::string(kGood) + line + "\n"),
                    Contains(AllOf(HasSubstr("k.toml:7:"), HasSubstr(word))))
            << line;
    }
}

TEST(Config, BrokenTomlIsNamedWithLineAndColumn)
{
    EXPECT_THAT(problems("[catalog]\ndsn = \"unfinished\n"), Contains(HasSubstr("k.toml:2:")));
}

TEST(Config, AFlagGoesBeforeTheEnvironmentAndThatBeforeTheFile)
{
    const std::string text = std::string(kGood) + "partitions = 3\n";
    EXPECT_EQ(load(text).config.cdc.partitions, 3);
    ::setenv("KEYSHIFT_CDC__PARTITIONS", "5", 1);
    const LoadedConfig by_environment = load(text);
    EXPECT_EQ(by_environment.config.cdc.partitions, 5);
    EXPECT_THAT(by_environment.origins.at("cdc.partitions"), HasSubstr("KEYSHIFT_CDC__PARTITIONS"));
    EXPECT_EQ(load(text, {{"cdc.partitions", "7"}}).config.cdc.partitions, 7);
    ::unsetenv("KEYSHIFT_CDC__PARTITIONS");
}

TEST(Config, AMistypedVariableIsAProblemToo)
{
    ::setenv("KEYSHIFT_CDC__PARTITOINS", "5", 1);
    EXPECT_THAT(problems(kGood),
                Contains(AllOf(HasSubstr("KEYSHIFT_CDC__PARTITOINS"), HasSubstr("Did you mean cdc.partitions?"))));
    ::unsetenv("KEYSHIFT_CDC__PARTITOINS");
}

TEST(Config, AFileThatIsNamedMustBeThereAndNotBeHuge)
{
    EXPECT_FALSE(load_config("/nonexistent/keyshift.toml").problems.empty());
    EXPECT_THAT(problems(std::string(kGood) + "#" + std::string(2U << 20U, 'x') + "\n"),
                Contains(HasSubstr("larger than 1 MiB")));
}

TEST(Config, APasswordInADsnIsNeverShown)
{
    for (const char* dsn : {"host=h password=secret1 dbname=d", "host=h password='sec ret1' dbname=d",
                            "postgresql://u:secret1@h/d", "host=h dbname=d password = secret1"}) {
        Config config;
        config.catalog_dsn = dsn;
        const std::string shown = find_key("catalog.dsn")->show(config);
        EXPECT_THAT(shown, Not(HasSubstr("ret1"))) << shown;
        EXPECT_THAT(shown, HasSubstr("***"));
    }
}

TEST(Config, DurationsAndSizesAreReadWithTheirUnits)
{
    EXPECT_EQ(parse_duration("5ms"), 5ms);
    EXPECT_EQ(parse_duration("10min"), 10min);
    EXPECT_EQ(parse_duration("2h"), 2h);
    EXPECT_EQ(parse_duration("10"), std::nullopt);
    EXPECT_EQ(parse_duration("s"), std::nullopt);
    EXPECT_EQ(parse_duration("99999999999999999999s"), std::nullopt);
    EXPECT_EQ(parse_size("64MiB"), 64U << 20U);
    EXPECT_EQ(parse_size("4096"), 4096U);
    EXPECT_EQ(parse_size("64MB"), std::nullopt);
    EXPECT_EQ(parse_size("18446744073709551615GiB"), std::nullopt);
}

TEST(Config, EveryKeyReadsBackWhatItShows)
{
    const Config defaults;
    for (const ConfigKey& key : config_keys()) {
        Config other;
        EXPECT_EQ(key.read(other, key.show(defaults)), std::nullopt) << key.name;
        EXPECT_EQ(key.show(other), key.show(defaults)) << key.name;
        EXPECT_FALSE(key.description.empty()) << key.name;
    }
}

} // namespace
} // namespace keyshift::daemon
