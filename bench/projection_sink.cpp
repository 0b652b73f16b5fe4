#include "bench/jdbc_sink.hpp"
#include "bench/projections.hpp"

#include "demo/screen.hpp"

#include <fmt/core.h>

namespace keyshift::bench {

namespace {

constexpr int kRows = 300'000;
/// The worker compiles its hot paths while it works: the first records of its life are no measure.
constexpr int kWarmUpRows = 100'000;
constexpr const char* kName = "sunk_by_user";
constexpr const char* kCopy = "sunk_by_jdbc";

std::string insert(int rows, const std::string& content)
{
    return fmt::format("DO $$ BEGIN FOR i IN 1..{} LOOP INSERT INTO public.sunk SELECT gen_random_uuid(), "
                       "gen_random_uuid(), gen_random_uuid(), '{}' FROM generate_series(1, 100); COMMIT; "
                       "END LOOP; END $$",
                       rows / 100, content);
}

Measured beside_sink(const std::string& what, double ours, double theirs)
{
    const double times = ours / theirs;
    return {fmt::format("{}, beside the Debezium JDBC sink, {} rows, JSON with schemas", what, demo::grouped(kRows)),
            fmt::format("JDBC sink {:.0f} k rows/s", theirs / 1000),
            fmt::format("{:.0f} k rows/s", ours / 1000),
            fmt::format("{:.1f} times", times),
            ">= 5 times",
            times >= 5};
}

/// Both apply what `sql` changes, one after the other; afterwards `rows` rows have `content`.
struct Pair {
    double ours = 0;
    double theirs = 0;
};
Pair apply(const Bench& bench, JdbcSink& sink, const std::string& sql, const std::string& content)
{
    pile_up(bench, kName, sql);
    Drain drain(bench, kName, "sunk");
    bench.program.run({"projection", "resume", kName});
    Pair pair;
    pair.ours = drain.finish(kRows).per_second;
    sink.resume();
    pair.theirs = sink.wait_content(content, kRows);
    sink.stop();
    return pair;
}

} // namespace

std::vector<Measured> bench_projection_sink(const Bench& bench)
{
    if (!Connector::worker_present()) {
        return {};
    }
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script(fmt::format("CREATE TABLE public.sunk (post_id uuid, id uuid, user_id uuid NOT NULL, content text, "
                            "PRIMARY KEY (post_id, id, user_id)); CREATE TABLE public.{} (user_id uuid, id uuid, "
                            "post_id uuid, content text, PRIMARY KEY (user_id, id, post_id))",
                            kCopy));
    const WithSchemas schemas;
    bench.program.run({"table", "capture", "sunk"});
    bench.daemon.start();
    bench.wait_snapshots();
    bench.program.run({"projection", "create", kName, "--key", "user_id", "--wait", "--sql",
                       "SELECT user_id, id, post_id, content FROM sunk"});
    node.script(insert(kWarmUpRows, "warm-up"));
    wait_captured(bench);
    JdbcSink sink(bench.settings, "sunk", kCopy);
    sink.wait_content("warm-up", kWarmUpRows);
    sink.stop();
    const Pair inserts = apply(bench, sink, insert(kRows, std::string(20, 'x')), std::string(20, 'x'));
    const Pair updates =
        apply(bench, sink, "UPDATE public.sunk SET content = repeat('y', 20) WHERE content = repeat('x', 20)",
              std::string(20, 'y'));
    bench.daemon.stop();
    return {beside_sink("inserts to a projection", inserts.ours, inserts.theirs),
            beside_sink("updates, likewise", updates.ours, updates.theirs)};
}

} // namespace keyshift::bench
