#include "bench/measured.hpp"

#include "core/backoff.hpp"
#include "core/names.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <set>
#include <sys/utsname.h>
#include <thread>

namespace keyshift::bench {

double seconds_since(std::chrono::steady_clock::time_point begin)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double quantile(std::vector<double> values, double part)
{
    if (values.empty()) {
        return 0;
    }
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
}

void Bench::wait_snapshots() const
{
    pg::Connection catalog(settings.connection("n1", "bench"));
    while (catalog.query("SELECT count(*) FROM keyshift.snapshot WHERE state IN ('pending', 'running')").integer(0, 0) >
           0) {
        sleep_for(std::chrono::milliseconds(200), {});
    }
}

namespace {

std::string processor()
{
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "unknown processor";
}

std::string surroundings(const demo::Settings& settings)
{
    pg::Connection node(settings.connection("n1", "bench"));
    utsname system{};
    uname(&system);
    char date[16] = {};
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%F", std::gmtime(&now));
    return fmt::format("{}: {} x {}, Linux {}, PostgreSQL {}, Keyshift {}", date, std::thread::hardware_concurrency(),
                       processor(), system.release, node.query("SHOW server_version").text(0, 0), KEYSHIFT_VERSION);
}

/// Fresh databases on the servers, and a catalog on n1.
void prepare(const demo::Settings& settings, const demo::Program& program)
{
    for (const demo::Server& server : settings.servers) {
        pg::ConnectionSettings maintenance = settings.connection(server.name, "bench");
        maintenance.conninfo = fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port);
        pg::Connection(maintenance).query("CREATE DATABASE " + quote_identifier(settings.database));
    }
    program.run({"init"});
    program.run({"node", "add", "n1", "--dsn", settings.dsn("n1")});
}

void write_document(const std::string& file, const std::string& where, const std::vector<Measured>& results)
{
    std::ofstream document(file);
    document
        << "# Benchmarks\n\nWritten by `./dev bench`. The machine is shared and noisy: the ratios against a limit measured in the "
           "same run count, not the absolute figures.\n\n"
        << where << "\n\n"
        << "| what | limit, same run | measured | ratio | goal | |\n|---|---|---|---|---|---|\n";
    for (const Measured& result : results) {
        document << fmt::format("| {} | {} | {} | {} | {} | {} |\n", result.what, result.limit, result.measured,
                                result.ratio, result.goal, result.reached ? "reached" : "not reached");
    }
    document
        << "\nHow: the same changes are drained by pg_recvlogical, by the daemon (in alternated order; the median of four rounds) and by the real Debezium 3.2, warm, with max.batch.size 8192, max.queue.size 32768, poll.interval.ms 50 and lz4 as ours; "
           "pg_recvlogical is timed from its first to its last byte, both others from the first to the last record by the broker's clock; "
           "a move from its first to its switched state; the raw COPY pipe runs through one process on the same leaf, followed by the same index builds. The program links jemalloc: with glibc's allocator draining was a third slower, since "
           "records are made on one thread and freed on another.\n";
}

const std::vector<std::pair<std::string, std::vector<Measured> (*)(const Bench&)>> kParts{
    {"inserts", bench_inserts},   {"mixed", bench_mixed},
    {"latency", bench_latency},   {"transaction", bench_transaction},
    {"snapshot", bench_snapshot}, {"projection", bench_projection},
    {"move", bench_move}};

/// What "cdc" stands for: all that is measured of capture.
const std::set<std::string> kCapture{"inserts", "mixed", "latency", "transaction", "snapshot"};

/// Runs the parts named, or all of them; only a whole run writes the document.
int run(const demo::Settings& settings, const std::string& document, const std::set<std::string>& names)
{
    const int port = demo::free_port();
    demo::write_config(settings, port);
    const demo::Program program(settings);
    demo::Daemon daemon(settings, port);
    const Bench bench{settings, program, daemon};
    prepare(settings, program);
    std::vector<Measured> results;
    for (const auto& [name, part] : kParts) {
        const bool named = names.contains(name) || (names.contains("cdc") && kCapture.contains(name));
        if (!names.empty() && !named) {
            continue;
        }
        const std::vector<Measured> measured = part(bench);
        for (const Measured& result : measured) {
            demo::say(fmt::format("== {}: {} {}", result.what, result.measured, result.ratio));
        }
        results.insert(results.end(), measured.begin(), measured.end());
    }
    const std::string where = surroundings(settings);
    demo::say("\n" + where + "\n");
    std::vector<std::vector<std::string>> rows{{"what", "limit, same run", "measured", "ratio", "goal", ""}};
    for (const Measured& result : results) {
        rows.push_back({result.what, result.limit, result.measured, result.ratio, result.goal,
                        result.reached ? "reached" : "NOT REACHED"});
    }
    demo::table(rows);
    if (names.empty()) {
        write_document(document, where, results);
        demo::say("\nwritten to " + document);
    }
    return std::all_of(results.begin(), results.end(), [](const Measured& result) { return result.reached; }) ? 0 : 1;
}

} // namespace

} // namespace keyshift::bench

/// The benchmarks: `keyshift-bench DIRECTORY DOCUMENT [PART...]`, with the servers' addresses in the environment. `./dev bench` runs it.
int main(int count, char** arguments)
{
    using namespace keyshift;
    try {
        const demo::Settings settings = demo::settings_from_environment(count > 1 ? arguments[1] : "/tmp");
        return bench::run(settings, count > 2 ? arguments[2] : "benchmarks.md",
                          std::set<std::string>(arguments + std::min(count, 3), arguments + count));
    } catch (const Error& error) {
        fmt::print(stderr, "error: {}\n  why:  {}\n  next: {}\n", error.parts().what, error.parts().why,
                   error.parts().next);
        return exit_status(error.kind());
    } catch (const std::exception& error) {
        fmt::print(stderr, "error: the benchmark itself is broken: {}\n", error.what());
        return 1;
    }
}
