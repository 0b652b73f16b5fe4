#include "metrics/families.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace keyshift::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Every family with at least one series.
std::string everything(Metrics& metrics)
{
    const CdcMetrics cdc(metrics.registry(), "n1");
    cdc.events("public.users", "c").add();
    cdc.dead_letters("public.files").add();
    cdc.reconnects("postgres").add();
    cdc.kafka_errors("transient").add();
    cdc.wal_status("reserved");
    const ReshardMetrics reshard(metrics.registry());
    reshard.moves("copying").set(1);
    reshard.rows_copied("n1", "n2").add();
    reshard.write_block_seconds.observe(0.004);
    const ProjectionMetrics projection(metrics.registry());
    projection.rows("p", "applied").add();
    projection.lag_seconds("p").set(0.5);
    projection.fanout_oldest_seconds("p").set(0.5);
    projection.rejections("p", "null_key").add();
    const ReferenceMetrics reference(metrics.registry());
    reference.lag_seconds("public.countries", "n2").set(0.5);
    reference.live("public.countries", "n2").set(1);
    reference.conflicts("public.countries", "n2").set(0);
    reference.rows("public.countries", "n2", "applied").add();
    const ProcessMetrics process(metrics.registry());
    process.refresh();
    return metrics.render();
}

/// "keyshift_x counter"
std::set<std::string> declared(const std::string& exposition)
{
    std::set<std::string> families;
    std::istringstream lines(exposition);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# TYPE ")) {
            families.insert(line.substr(7));
        }
    }
    return families;
}

TEST(Families, ThePageDescribesExactlyWhatIsRenderedWithItsType)
{
    Metrics metrics;
    std::ifstream page(KEYSHIFT_SOURCE_DIR "/docs/metrics.md");
    static const std::regex kRow(R"(^\| `([a-z_]+)` \| ([a-z]+) \|.*)");
    std::set<std::string> described;
    for (std::string line; std::getline(page, line);) {
        std::smatch row;
        if (std::regex_match(line, row, kRow)) {
            described.insert(row[1].str() + " " + row[2].str());
        }
    }
    EXPECT_EQ(declared(everything(metrics)), described);
}

TEST(Families, EachHasHelpText)
{
    Metrics metrics;
    const std::string text = everything(metrics);
    for (const std::string& family : declared(text)) {
        EXPECT_THAT(text, HasSubstr("# HELP " + family.substr(0, family.find(' ')) + " "));
    }
}

TEST(Families, ASeriesThatIsAskedForTwiceIsTheSame)
{
    Metrics metrics;
    const CdcMetrics cdc(metrics.registry(), "n1");
    cdc.events("public.users", "c").add(2);
    const CdcMetrics again(metrics.registry(), "n1");
    again.events("public.users", "c").add(3);
    EXPECT_EQ(cdc.events("public.users", "c").value(), 5);
}

TEST(Families, OnlyThePresentWalStatusIsOne)
{
    Metrics metrics;
    const CdcMetrics cdc(metrics.registry(), "n1");
    cdc.wal_status("reserved");
    cdc.wal_status("lost");
    EXPECT_THAT(metrics.render(), HasSubstr("status=\"lost\"} 1"));
    EXPECT_THAT(metrics.render(), HasSubstr("status=\"reserved\"} 0"));
}

} // namespace
} // namespace keyshift::metrics
