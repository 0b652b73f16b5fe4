#include "bench/measured.hpp"

#include "core/backoff.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRows = 300'000;

void wait_captured(const Bench& bench)
{
    for (int tries = 0; tries < 600; ++tries) {
        const nlohmann::json status = bench.program.json({"cdc", "status"});
        if (status[0]["lag_bytes"].get<long long>() < 10'000 && status[0]["state"] == "streaming") {
            return;
        }
        sleep_for(200ms, {});
    }
    throw FatalError({"waiting for capture", "lag does not go down", "Read daemon.log."});
}

} // namespace

std::vector<Measured> bench_projection(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script(
        "CREATE TABLE public.applied (post_id uuid, id uuid, user_id uuid NOT NULL, content text, PRIMARY KEY (post_id, id, user_id))");
    bench.program.run({"table", "capture", "applied"});
    bench.daemon.start();
    bench.wait_snapshots();
    bench.program.run({"projection", "create", "applied_by_user", "--key", "user_id", "--wait", "--sql",
                       "SELECT user_id, id, post_id, content FROM applied"});
    bench.program.run({"projection", "pause", "applied_by_user"});
    node.script(fmt::format(
        "DO $$ BEGIN FOR i IN 1..{} LOOP INSERT INTO public.applied SELECT gen_random_uuid(), gen_random_uuid(), "
        "gen_random_uuid(), repeat('x', 20) FROM generate_series(1, 100); COMMIT; END LOOP; END $$",
        kRows / 100));
    sleep_for(2s, {});
    wait_captured(bench);
    const double before = bench.daemon.metric("keyshift_projection_rows_total");
    bench.program.run({"projection", "resume", "applied_by_user"});
    Clock::time_point first{};
    double applied = 0;
    double at_first = 0;
    const auto begin = Clock::now();
    while (applied < kRows && seconds_since(begin) < 120) {
        applied = bench.daemon.metric("keyshift_projection_rows_total") - before;
        if (applied > 0 && first == Clock::time_point{}) {
            first = Clock::now();
            at_first = applied;
        }
        sleep_for(50ms, {});
    }
    const double rate = (applied - at_first) / seconds_since(first);
    bench.program.run({"projection", "verify", "applied_by_user"});
    bench.daemon.stop();
    return {{fmt::format("projection apply, {} rows, one node", demo::grouped(kRows)), "",
             fmt::format("{:.0f} k rows/s", rate / 1000), "", ">= 60 k rows/s", rate >= 60'000}};
}

} // namespace keyshift::bench
