#include "bench/measured.hpp"

#include "core/backoff.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <thread>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRows = 1'000'000;

// A table with a primary key and a second index, in two buckets: one of them moves.
constexpr const char* kTable = R"(
CREATE TABLE public.moved (id uuid PRIMARY KEY, owner int NOT NULL, content text);
INSERT INTO public.moved SELECT gen_random_uuid(), i % 1000, repeat('x', 100) FROM generate_series(1, {}) i;
CREATE INDEX ON public.moved (owner);
)";

/// A raw binary COPY of the leaf from n1 to n2 through this process, then the same indexes. Seconds.
double copy_raw(const Bench& bench, const std::string& leaf)
{
    pg::Connection from(bench.settings.connection("n1", "bench"));
    pg::Connection to(bench.settings.connection("n2", "bench"));
    to.script("CREATE TABLE public.raw (id uuid, owner int NOT NULL, content text)");
    const auto begin = Clock::now();
    to.copy_in_begin("COPY public.raw FROM STDIN (FORMAT binary)");
    from.copy_out("COPY " + leaf + " TO STDOUT (FORMAT binary)",
                  [&](std::string_view bytes) { to.copy_in_put(bytes); });
    to.copy_in_end();
    to.script("ALTER TABLE public.raw ADD PRIMARY KEY (id); CREATE INDEX ON public.raw (owner)");
    const double seconds = seconds_since(begin);
    to.script("DROP TABLE public.raw");
    return seconds;
}

nlohmann::json wait_job(const Bench& bench, std::int64_t job)
{
    for (int tries = 0; tries < 3000; ++tries) {
        nlohmann::json status = bench.program.json({"reshard", "status", std::to_string(job)});
        if (status["state"] != "running") {
            return status;
        }
        sleep_for(100ms, {});
    }
    throw FatalError({"waiting for a reshard job", "not done", "Read daemon.log."});
}

/// Moves all that `start` plans, while one connection keeps writing; the write blocks in ms.
std::vector<double> blocks_under_load(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.busy (id int PRIMARY KEY, content text); "
                "INSERT INTO public.busy SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i");
    bench.program.run({"table", "distribute", "busy", "--key", "id", "--offline"});
    std::jthread writer([&](std::stop_token stop) {
        for (int row = 1; !stop.stop_requested(); row = row % 200'000 + 1) {
            try {
                node.query("UPDATE public.busy SET content = repeat('y', 100) WHERE id = $1::int",
                           {std::to_string(row)});
            } catch (const pg::SqlError&) {
                // KS001: the row's bucket has moved; this writer goes on with the others.
            }
            sleep_for(2ms, stop);
        }
    });
    bench.wait_snapshots();
    bench.program.run({"reshard", "start", "--wait"});
    const nlohmann::json status = bench.program.json({"reshard", "status"});
    std::vector<double> blocks;
    for (const nlohmann::json& move : status["moves"]) {
        if (move["write_block_ms"].is_number()) { // not for a projection's bucket: no application writes to it
            blocks.push_back(move["write_block_ms"].get<double>());
        }
    }
    return blocks;
}

} // namespace

std::vector<Measured> bench_move(const Bench& bench)
{
    pg::Connection catalog(bench.settings.connection("n1", "bench"));
    catalog.script(fmt::format(kTable, kRows));
    bench.program.run({"table", "distribute", "moved", "--key", "id", "--buckets", "2", "--offline"});
    bench.program.run({"node", "add", "n2", "--dsn", bench.settings.dsn("n2")});
    bench.daemon.start();
    bench.wait_snapshots();
    const double raw = copy_raw(bench, "public.moved_b1");
    bench.program.run({"reshard", "start", "--buckets", "1", "--to", "n2"});
    const nlohmann::json status = wait_job(bench, bench.program.json({"reshard", "status"})["job"].get<std::int64_t>());
    const double moved =
        catalog
            .query("SELECT extract(epoch FROM max(switched_at) - min(started_at))::float8 FROM keyshift.move "
                   "WHERE group_name = 'moved'")
            .real(0, 0);
    long long rows = 0;
    for (const nlohmann::json& move : status["moves"]) {
        rows += move["group"] == "moved" ? move["rows"].get<long long>() : 0;
    }
    const std::vector<double> blocks = blocks_under_load(bench);
    bench.daemon.stop();
    const double ratio = raw / moved;
    const double p99 = quantile(blocks, 0.99);
    return {
        {fmt::format("moving a bucket group of {} rows", demo::grouped(rows)),
         fmt::format("binary COPY pipe + index build {:.2f} s", raw), fmt::format("{:.2f} s", moved),
         fmt::format("{:.2f}", ratio), ">= 0.4", ratio >= 0.4},
        {fmt::format("write block over {} moves under load", blocks.size()), "",
         fmt::format("p50 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms", quantile(blocks, 0.5), p99, quantile(blocks, 1)),
         "", "p99 < 100 ms", p99 < 100}};
}

} // namespace keyshift::bench
