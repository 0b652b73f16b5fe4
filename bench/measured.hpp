#pragma once
/// One line of the benchmark table, and what the benchmarks share.

#include "demo/program.hpp"
#include "demo/settings.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace keyshift::bench {

struct Measured {
    std::string what;
    std::string limit; ///< the physical limit, measured in the same run
    std::string measured;
    std::string ratio; ///< measured against the limit; "" where the goal is absolute
    std::string goal;
    bool reached = false;
};

/// What every benchmark works on: n1 holds the catalog; init and node add are done, the daemon is not running.
struct Bench {
    const demo::Settings& settings;
    const demo::Program& program;
    demo::Daemon& daemon;

    /// Until the rows that were there when their tables were captured are in Kafka.
    void wait_snapshots() const;
};

double seconds_since(std::chrono::steady_clock::time_point begin);
/// Nearest rank; `values` need not be sorted.
double quantile(std::vector<double> values, double part);
/// Date, machine and versions.
std::string surroundings(const demo::Settings& settings);
/// Fresh databases on the servers, a catalog on n1, and n1 a node.
void prepare(const demo::Settings& settings, const demo::Program& program);

std::vector<Measured> bench_inserts(const Bench& bench);
std::vector<Measured> bench_mixed(const Bench& bench);
std::vector<Measured> bench_transaction(const Bench& bench);
std::vector<Measured> bench_snapshot(const Bench& bench);
std::vector<Measured> bench_latency(const Bench& bench);
std::vector<Measured> bench_projection(const Bench& bench);
std::vector<Measured> bench_projection_totals(const Bench& bench);
std::vector<Measured> bench_projection_latency(const Bench& bench);
std::vector<Measured> bench_projection_backfill(const Bench& bench);
std::vector<Measured> bench_projection_sink(const Bench& bench);
std::vector<Measured> bench_projection_faults(const Bench& bench);
std::vector<Measured> bench_move_group(const Bench& bench);
std::vector<Measured> bench_move_catch_up(const Bench& bench);
std::vector<Measured> bench_move_empty(const Bench& bench);
std::vector<Measured> bench_move_third(const Bench& bench);
/// Over all moves before, and ends the daemon.
std::vector<Measured> bench_move_total(const Bench& bench);

} // namespace keyshift::bench
