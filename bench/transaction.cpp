#include "bench/measured.hpp"
#include "bench/topic_reader.hpp"

#include "core/change_event.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

namespace keyshift::bench {

namespace {

constexpr int kRows = 5'000'000;

} // namespace

std::vector<Measured> bench_transaction(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.bulk (id int PRIMARY KEY, content text)");
    const std::string topic = data_topic(bench.settings.prefix, "public", "bulk");
    make_topic(bench.settings, topic);
    bench.program.run({"table", "capture", "bulk"});
    bench.daemon.start();
    bench.wait_snapshots();
    TopicReader reader(bench.settings, topic);
    const auto begin = std::chrono::steady_clock::now();
    node.script(fmt::format("INSERT INTO public.bulk SELECT i, repeat('x', 64) FROM generate_series(1, {}) i", kRows));
    reader.wait(kRows, 600);
    const double seconds = seconds_since(begin);
    const double memory = static_cast<double>(bench.daemon.peak_memory()) / 1e6;
    bench.daemon.stop();
    const long long records = reader.take(kRows).records;
    return {{fmt::format("memory of the daemon in a transaction of {} rows, peak", demo::grouped(kRows)), "",
             fmt::format("{:.0f} MB, all in Kafka after {:.0f} s", memory, seconds), "", "< 100 MB",
             memory < 100 && records >= kRows}};
}

} // namespace keyshift::bench
