#include "demo/scenario.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace keyshift::demo {

namespace {

using namespace std::chrono_literals;

std::string quantiles(std::vector<double> milliseconds)
{
    if (milliseconds.empty()) {
        return "none";
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    return fmt::format("p50 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms", milliseconds[milliseconds.size() / 2],
                       milliseconds[milliseconds.size() * 99 / 100], milliseconds.back());
}

std::vector<double> write_blocks(const Program& program)
{
    std::vector<double> blocks;
    for (const nlohmann::json& job : program.json({"reshard", "list"})) {
        const nlohmann::json status = program.json({"reshard", "status", std::to_string(job["job"].get<long long>())});
        for (const nlohmann::json& move : status["moves"]) {
            if (move["write_block_ms"].is_number()) {
                blocks.push_back(move["write_block_ms"].get<double>());
            }
        }
    }
    return blocks;
}

} // namespace

void Scenario::wait_for_capture()
{
    std::map<std::string, Lsn> ends;
    for (const Server& server : settings_.servers) {
        pg::Connection node(settings_.connection(server.name, "demo"));
        ends[server.name] = node.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    }
    for (int tries = 0; tries < 300; ++tries) {
        std::size_t reached = 0;
        for (const nlohmann::json& node : program_.json({"cdc", "status"})) {
            const auto confirmed =
                node["confirmed_lsn"].is_string() ? Lsn::parse(node["confirmed_lsn"].get<std::string>()) : std::nullopt;
            reached += confirmed && *confirmed >= ends[node["node"].get<std::string>()] ? 1 : 0;
        }
        if (reached == ends.size()) {
            return;
        }
        sleep_for(100ms, {});
    }
    throw FatalError(
        {"waiting for capture", "not every node's stream reached the end of its WAL in 30 s", "Read daemon.log."});
}

bool Scenario::check_everything()
{
    step(7, "The writer stops; everything is checked");
    const std::vector<WriterLog> logs = writers_->stop();
    program_.run({"reshard", "list"});
    program_.run({"cdc", "status"});
    wait_for_capture();
    const bool passed = show_checks(run_checks(settings_, program_, before_, logs));
    say("");
    show_figures(logs);
    const bool stopped = daemon_.stop();
    say(stopped ? "  the daemon stopped by itself on SIGTERM" : "  FAILED: the daemon did not stop cleanly on SIGTERM");
    return passed && stopped;
}

void Scenario::show_figures(const std::vector<WriterLog>& logs)
{
    std::vector<double> milliseconds;
    long long redirects = 0;
    long long retries = 0;
    for (const WriterLog& log : logs) {
        milliseconds.insert(milliseconds.end(), log.milliseconds.begin(), log.milliseconds.end());
        redirects += log.redirects;
        retries += log.retries;
    }
    const std::vector<double> blocks = write_blocks(program_);
    table(
        {{"figure", "measured in this run"},
         {"write block per move", fmt::format("{} over {} moves", quantiles(blocks), blocks.size())},
         {"a write, as the application sees it", quantiles(milliseconds)},
         {"redirects (KS001) followed, other retries", fmt::format("{}, {}", grouped(redirects), grouped(retries))},
         {"snapshot into Kafka", fmt::format("{} rows/s", grouped(static_cast<long long>(snapshot_rows_per_second_)))},
         {"events since the daemon's last start",
          grouped(static_cast<long long>(daemon_.metric("keyshift_cdc_events_total")))},
         {"lag now", fmt::format("{:.0f} bytes over all nodes", daemon_.metric("keyshift_cdc_lag_bytes"))},
         {"memory of the daemon, peak", fmt::format("{} MB", daemon_.peak_memory() / 1'000'000)}});
}

} // namespace keyshift::demo
