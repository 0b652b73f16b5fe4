#include "bench/moves.hpp"

#include "core/backoff.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <fstream>
#include <sstream>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRows = 2'000'000;
constexpr int kChased = 400'000;
constexpr int kBehind = 500'000;
constexpr const char* kSlowly = "2MiB";
constexpr const char* kFreely = "100GiB";

// A table with a primary key and a second index, in two buckets: one of them moves.
constexpr const char* kTable = R"(
CREATE TABLE public.moved (id uuid PRIMARY KEY, owner int NOT NULL, content text);
INSERT INTO public.moved SELECT gen_random_uuid(), i % 1000, repeat('x', 100) FROM generate_series(1, {}) i;
CREATE INDEX ON public.moved (owner);
)";

/// The configuration with another limit of the rate of copies.
void limit_copies(const Bench& bench, const std::string& rate)
{
    const std::string file = bench.settings.config_file();
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    std::string config = text.str();
    const std::string key = "max_copy_rate = ";
    if (const std::size_t old = config.find(key); old != std::string::npos) {
        config.erase(old, config.find('\n', old) + 1 - old);
    }
    config.insert(config.find("[reshard]\n") + std::string("[reshard]\n").size(), key + "\"" + rate + "\"\n");
    std::ofstream(file) << config;
    bench.program.run({"reload"});
}

/// The time of the move's first look at which it has come to `state` or farther.
Clock::time_point wait_state(pg::Connection& catalog, const std::string& state)
{
    for (int tries = 0; tries < 30'000; ++tries) {
        const auto there = catalog.query(
            "SELECT array_position('{planned,copying,indexing,catching_up,attached,fenced,switched,settling,done}', m.state) >= "
            "array_position('{planned,copying,indexing,catching_up,attached,fenced,switched,settling,done}', $1) "
            "FROM keyshift.move m WHERE m.group_name = 'chased'",
            {state});
        if (there.rows() == 1 && there.boolean(0, 0)) {
            return Clock::now();
        }
        sleep_for(5ms, {});
    }
    throw FatalError({"waiting for a move", "it does not come to " + state, "Read daemon.log."});
}

} // namespace

std::vector<Measured> bench_move_group(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script(fmt::format(kTable, kRows));
    bench.program.run({"table", "distribute", "moved", "--key", "id", "--buckets", "2", "--offline"});
    ready_for_moves(bench, "n2");
    const double raw = copy_raw(bench, "n1", "n2", "id uuid, owner int NOT NULL, content text", {"public.moved_b1"},
                                "ALTER TABLE public.raw ADD PRIMARY KEY (id); CREATE INDEX ON public.raw (owner)");
    const Job job = reshard(bench, {"--group", "moved", "--buckets", "1", "--to", "n2"});
    const double ratio = raw / job.seconds;
    return {{fmt::format("moving a bucket group of {} rows", demo::grouped(job.rows)),
             fmt::format("binary COPY pipe + index build {:.2f} s", raw), fmt::format("{:.2f} s", job.seconds),
             fmt::format("{:.2f}", ratio), ">= 0.7", ratio >= 0.7}};
}

std::vector<Measured> bench_move_catch_up(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    pg::Connection catalog(bench.settings.connection("n1", "bench"));
    node.script(
        fmt::format("CREATE TABLE public.chased (id bigint PRIMARY KEY, owner int NOT NULL, content text);"
                    "INSERT INTO public.chased SELECT i, i % 1000, repeat('x', 100) FROM generate_series(1, {}) i",
                    kChased));
    bench.program.run({"table", "distribute", "chased", "--key", "id", "--buckets", "2", "--offline"});
    ready_for_moves(bench, "n2");
    limit_copies(bench, kSlowly); // so that what is written meanwhile waits to be applied
    bench.program.run({"reshard", "start", "--group", "chased", "--buckets", "1", "--to", "n2"});
    wait_state(catalog, "copying");
    sleep_for(1s, {}); // the snapshot is taken
    node.script(fmt::format(
        "DO $$ BEGIN FOR i IN 0..{} LOOP INSERT INTO public.chased SELECT k, 1, repeat('y', 100) "
        "FROM generate_series({} + i * 2000 + 1, {} + (i + 1) * 2000) k "
        "WHERE satisfies_hash_partition('public.chased'::regclass, 2, 1, k::bigint); COMMIT; END LOOP; END $$",
        2 * kBehind / 2000 - 1, kChased, kChased));
    limit_copies(bench, kFreely);
    const auto begin = wait_state(catalog, "catching_up");
    const auto end = wait_state(catalog, "attached");
    wait_job(bench);
    const double seconds = std::chrono::duration<double>(end - begin).count();
    pg::Connection recipient(bench.settings.connection("n2", "bench"));
    const auto rows = static_cast<double>(
        recipient.query(fmt::format("SELECT count(*) FROM public.chased_b1 WHERE id > {}", kChased)).integer(0, 0));
    const double rate = rows / seconds;
    return {{fmt::format("catching up with {} rows", demo::grouped(static_cast<long long>(rows))), "",
             fmt::format("{:.0f} k rows/s", rate / 1000), "", ">= 100 k rows/s", rate >= 100'000}};
}

std::vector<Measured> bench_move_total(const Bench& bench)
{
    pg::Connection catalog(bench.settings.connection("n1", "bench"));
    const auto rows = catalog.query("SELECT write_block_ms FROM keyshift.move WHERE write_block_ms IS NOT NULL");
    std::vector<double> blocks;
    for (int row = 0; row < rows.rows(); ++row) {
        blocks.push_back(rows.real(row, 0));
    }
    const double p50 = quantile(blocks, 0.5);
    const double p99 = quantile(blocks, 0.99);
    const double most = quantile(blocks, 1);
    const long long memory = bench.daemon.peak_memory() >> 20U;
    bench.daemon.stop();
    return {{fmt::format("write block over all {} moves", blocks.size()), "write_block_limit 1,000 ms",
             fmt::format("p50 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms", p50, p99, most), "",
             "p50 < 20 ms, p99 < 100 ms, none above the limit", p50 < 20 && p99 < 100 && most <= 1000},
            {"memory of the daemon meanwhile, peak", "", fmt::format("{} MB", memory), "", "< 200 MB", memory < 200}};
}

} // namespace keyshift::bench
