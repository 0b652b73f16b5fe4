#include "bench/projections.hpp"

#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::bench {

namespace {

constexpr int kRows = 300'000;
constexpr const char* kName = "applied_by_user";

Measured against_raw(const std::string& what, double rate, double raw)
{
    const double ratio = rate / raw;
    return {fmt::format("{}, {} rows, one node", what, demo::grouped(kRows)),
            fmt::format("guarded upsert {:.0f} k rows/s", raw / 1000),
            fmt::format("{:.0f} k rows/s", rate / 1000),
            fmt::format("{:.2f}", ratio),
            ">= 0.7",
            ratio >= 0.7};
}

/// Everything in the topic once more, of which the table has all.
Drain::Figures replay(const Bench& bench, double events)
{
    bench.daemon.stop();
    pg::Connection(bench.settings.connection("n1", "bench"))
        .query("UPDATE keyshift.projection_progress SET next_offset = 0 WHERE projection = $1", {kName});
    Drain drain(bench, kName, "applied");
    bench.daemon.start();
    return drain.finish(events);
}

} // namespace

std::vector<Measured> bench_projection(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.applied (post_id uuid, id uuid, user_id uuid NOT NULL, content text, "
                "PRIMARY KEY (post_id, id, user_id))");
    bench.program.run({"table", "capture", "applied"});
    bench.daemon.start();
    bench.wait_snapshots();
    bench.program.run({"projection", "create", kName, "--key", "user_id", "--wait", "--sql",
                       "SELECT user_id, id, post_id, content FROM applied"});
    pile_up(bench, kName,
            fmt::format("DO $$ BEGIN FOR i IN 1..{} LOOP INSERT INTO public.applied SELECT gen_random_uuid(), "
                        "gen_random_uuid(), gen_random_uuid(), repeat('x', 20) FROM generate_series(1, 100); COMMIT; "
                        "END LOOP; END $$",
                        kRows / 100));
    RawUpsert raw(bench, "applied");
    const double raw_inserts = raw.write();
    Drain insert_drain(bench, kName, "applied");
    bench.program.run({"projection", "resume", kName});
    const Drain::Figures inserts = insert_drain.finish(kRows);
    pile_up(bench, kName, "UPDATE public.applied SET content = repeat('y', 20)");
    const double raw_updates = raw.write();
    Drain update_drain(bench, kName, "applied");
    bench.program.run({"projection", "resume", kName});
    const Drain::Figures updates = update_drain.finish(kRows);
    const Drain::Figures again = replay(bench, 2.0 * kRows);
    bench.program.run({"projection", "verify", kName});
    const double memory = static_cast<double>(bench.daemon.peak_memory()) / 1e6;
    bench.daemon.stop();
    return {against_raw("inserts to a projection by another key", inserts.per_second, raw_inserts),
            against_raw("updates, likewise", updates.per_second, raw_updates),
            {fmt::format("replay of the same {} events, all of them there already", demo::grouped(2LL * kRows)), "",
             fmt::format("{:.0f} k events/s", again.per_second / 1000), "", ">= 200 k events/s",
             again.per_second >= 200'000},
            {"processor time of the daemon meanwhile, an insert / an update", "",
             fmt::format("{:.1f} us / {:.1f} us", inserts.cpu_microseconds, updates.cpu_microseconds), "", "< 5 us",
             std::max(inserts.cpu_microseconds, updates.cpu_microseconds) < 5},
            {"memory of the daemon in all runs so far, peak", "", fmt::format("{:.0f} MB", memory), "", "< 200 MB",
             memory < 200}};
}

} // namespace keyshift::bench
