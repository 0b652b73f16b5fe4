#include "bench/projections.hpp"

#include "demo/screen.hpp"

#include <fmt/core.h>

namespace keyshift::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRows = 1'000'000;

/// Seconds of what one node does by itself, into a table with the projection's columns and key.
double insert_select(pg::Connection& node)
{
    node.script(
        "CREATE TABLE public.selected (user_id uuid, id uuid, post_id uuid, content text, epoch bigint, lsn bigint, "
        "seq bigint, live boolean, PRIMARY KEY (user_id, id, post_id))");
    const auto begin = Clock::now();
    node.query("INSERT INTO public.selected SELECT user_id, id, post_id, content, 0, 0, 0, true FROM public.filled");
    const double seconds = seconds_since(begin);
    node.query("DROP TABLE public.selected");
    return seconds;
}

} // namespace

std::vector<Measured> bench_projection_backfill(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script(fmt::format("CREATE TABLE public.filled (post_id uuid, id uuid, user_id uuid NOT NULL, content text, "
                            "PRIMARY KEY (post_id, id, user_id)); INSERT INTO public.filled SELECT gen_random_uuid(), "
                            "gen_random_uuid(), gen_random_uuid(), repeat('x', 20) FROM generate_series(1, {})",
                            kRows));
    node.query("VACUUM ANALYZE public.filled");
    bench.program.run({"table", "capture", "filled"});
    bench.daemon.start();
    bench.wait_snapshots();
    const double raw = insert_select(node);
    const auto begin = Clock::now();
    bench.program.run({"projection", "create", "filled_by_user", "--key", "user_id", "--sql",
                       "SELECT user_id, id, post_id, content FROM filled"});
    wait_projection(bench, "filled_by_user", "live");
    const double seconds = seconds_since(begin);
    bench.program.run({"projection", "verify", "filled_by_user"});
    bench.daemon.stop();
    const double ratio = raw / seconds;
    return {{fmt::format("backfill of {} rows, from the command until live", demo::grouped(kRows)),
             fmt::format("INSERT ... SELECT on one node {:.1f} s", raw), fmt::format("{:.1f} s", seconds),
             fmt::format("{:.2f}", ratio), ">= 0.5", ratio >= 0.5}};
}

} // namespace keyshift::bench
