#include "bench/debezium.hpp"
#include "bench/measured.hpp"
#include "bench/topic_reader.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRows = 1'000'000;
constexpr int kRounds = 3;

/// Seconds of COPY ... TO STDOUT of the whole table, thrown away.
double copy_out(pg::Connection& node)
{
    const auto begin = Clock::now();
    node.copy_out("COPY public.existing TO STDOUT", [](std::string_view) {});
    return seconds_since(begin);
}

long long records(kafka::Consumer& consumer, const std::string& topic)
{
    long long count = 0;
    for (int partition = 0; partition < consumer.partitions(topic); ++partition) {
        count += consumer.watermarks(topic, partition).second;
    }
    return count;
}

/// Seconds from the plan of the reading to the last row in Kafka, as the daemon saves it.
double read_again(const Bench& bench, pg::Connection& node)
{
    bench.program.run({"cdc", "snapshot", "existing"});
    bench.wait_snapshots();
    return node
        .query("SELECT extract(epoch FROM max(updated_at) - min(started_at))::float8 FROM keyshift.snapshot s "
               "JOIN keyshift.captured_table t ON t.id = s.table_id WHERE table_name = 'existing'")
        .real(0, 0);
}

/// Of its initial snapshot of the same table, from the first to the last record.
std::optional<double> debezium_seconds(const Bench& bench)
{
    if (!Connector::worker_present()) {
        return std::nullopt;
    }
    const std::string topic = data_topic(Debezium::kPrefix, "public", "existing");
    make_topic(bench.settings, topic);
    TopicReader reader(bench.settings, topic);
    const Debezium debezium(bench.settings, "existing", "initial");
    reader.wait(kRows, 300);
    return reader.take(kRows).seconds();
}

} // namespace

std::vector<Measured> bench_snapshot(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script(fmt::format(
        "CREATE TABLE public.existing (user_id uuid, post_id uuid, content text, PRIMARY KEY (user_id, post_id)); "
        "INSERT INTO public.existing SELECT gen_random_uuid(), gen_random_uuid(), repeat('x', 64) "
        "FROM generate_series(1, {}); VACUUM ANALYZE public.existing",
        kRows));
    bench.program.run({"table", "capture", "existing"});
    bench.daemon.start();
    // The initial snapshot warms the broker up.
    bench.wait_snapshots();
    kafka::Consumer consumer(bench.settings.kafka(), "bench");
    const std::string topic = data_topic(bench.settings.prefix, "public", "existing");
    std::vector<std::pair<double, double>> rounds;
    for (int round = 0; round < kRounds; ++round) {
        const double before = round % 2 == 0 ? copy_out(node) : 0;
        const double snapshot = read_again(bench, node);
        rounds.emplace_back(round % 2 == 0 ? before : copy_out(node), snapshot);
    }
    const double memory = static_cast<double>(bench.daemon.peak_memory()) / 1e6;
    const std::optional<double> debezium = debezium_seconds(bench);
    const bool all = records(consumer, topic) >= static_cast<long long>(kRows) * (kRounds + 1);
    bench.daemon.stop();
    const auto ratio = [](const std::pair<double, double>& round) {
        return round.first / round.second;
    };
    std::sort(rounds.begin(), rounds.end(), [&](const auto& a, const auto& b) { return ratio(a) < ratio(b); });
    const auto& median = rounds[rounds.size() / 2];
    std::vector<Measured> measured{
        {fmt::format("snapshot of {} rows to Kafka, median of {}", demo::grouped(kRows), kRounds),
         fmt::format("COPY TO STDOUT {:.0f} k rows/s", kRows / median.first / 1000),
         fmt::format("{:.0f} k rows/s", kRows / median.second / 1000),
         fmt::format("{:.2f} ({:.2f} to {:.2f})", ratio(median), ratio(rounds.front()), ratio(rounds.back())), ">= 0.5",
         all && ratio(median) >= 0.5},
        {"memory of the daemon meanwhile, peak", "", fmt::format("{:.0f} MB", memory), "", "< 100 MB", memory < 100}};
    if (debezium) {
        const double times = *debezium / median.second;
        measured.push_back({"the same snapshot, beside Debezium",
                            fmt::format("Debezium {:.0f} k rows/s", kRows / *debezium / 1000),
                            fmt::format("{:.0f} k rows/s", kRows / median.second / 1000),
                            fmt::format("{:.1f} times", times), ">= 10 times", times >= 10});
    }
    return measured;
}

} // namespace keyshift::bench
