#include "tests/daemon/installation.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

class Scrape : public ::testing::Test {
protected:
    void SetUp() override
    {
        installation_.set_up();
        installation_.start_daemon();
    }

    Installation installation_;
};

TEST_F(Scrape, PromtoolFindsNothingWrong)
{
    const std::string file = installation_.directory().write("metrics", installation_.get("/metrics").body);
    const Finished checked = run_program({"/bin/sh", "-c", "promtool check metrics < " + file});
    EXPECT_EQ(checked.status, 0) << checked.out << checked.err;
    EXPECT_EQ(checked.out + checked.err, "");
}

TEST_F(Scrape, ARealPrometheusScrapesIt)
{
    const int port = free_port();
    const std::string config = installation_.directory().write(
        "prometheus.yml",
        fmt::format(
            "scrape_configs:\n  - job_name: keyshift\n    scrape_interval: 1s\n    static_configs:\n      - targets: ['127.0.0.1:{}']\n",
            installation_.port()));
    BackgroundProgram prometheus({"/usr/bin/prometheus", "--config.file=" + config,
                                  "--storage.tsdb.path=" + installation_.directory().path() + "/tsdb",
                                  fmt::format("--web.listen-address=127.0.0.1:{}", port)});
    const auto ask = [&](const std::string& query) {
        return http_get(port, "/api/v1/query?query=" + query).body;
    };
    ASSERT_TRUE(comes_true([&] { return ask("up").find(",\"1\"]") != std::string::npos; }, 60)) << prometheus.output();
    EXPECT_THAT(ask("keyshift_build_info"), HasSubstr("\"version\""));
    EXPECT_TRUE(comes_true([&] { return ask("keyshift_cdc_connected").find("\"node\":\"n1\"") != std::string::npos; }));
}

TEST_F(Scrape, NoLabelHoldsAKeyAnLsnOrABucket)
{
    std::istringstream lines(installation_.get("/metrics").body);
    const std::set<std::string> known{"node",  "table",     "op",         "reason",  "status",  "class",    "state",
                                      "donor", "recipient", "projection", "outcome", "version", "compiler", "le"};
    static const std::regex kLabel(R"re(([a-z_]+)=")re");
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with('#')) {
            for (auto label = std::sregex_iterator(line.begin(), line.end(), kLabel); label != std::sregex_iterator();
                 ++label) {
                EXPECT_TRUE(known.contains((*label)[1])) << line;
            }
        }
    }
}

} // namespace
} // namespace keyshift::test
