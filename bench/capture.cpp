#include "bench/measured.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRows = 300'000;
constexpr int kRounds = 3;

// 100 rows a transaction; uuids and 64 bytes of text.
constexpr const char* kInsert = R"(DO $$ BEGIN
    FOR i IN 1..{} LOOP
        INSERT INTO public.drain SELECT gen_random_uuid(), gen_random_uuid(), repeat('x', 64) FROM generate_series(1, 100);
        COMMIT;
    END LOOP; END $$)";

/// The broker compiles its hot paths while it works: the first records of its life are no measure of anything else.
constexpr int kWarmUpRows = 200'000;

/// Seconds that pg_recvlogical needs for the same changes, thrown away.
double receive_raw(const Bench& bench, const std::string& slot, const std::string& publication, Lsn end)
{
    const std::string command = fmt::format(
        "{}/pg_recvlogical -h 127.0.0.1 -p {} -U postgres -d {} --slot={} --start --endpos={} -o proto_version=1 "
        "-o publication_names={} --no-loop -f /dev/null",
        std::getenv("PG_CLIENT_BIN"), bench.settings.server("n1").port, bench.settings.database, slot, end.to_string(),
        publication);
    const auto begin = Clock::now();
    if (std::system(command.c_str()) != 0) {
        throw FatalError({"pg_recvlogical", "it failed", "Read what it printed."});
    }
    return seconds_since(begin);
}

void assign_topic(const Bench& bench, kafka::Consumer& consumer)
{
    const std::string topic = data_topic(bench.settings.prefix, "public", "drain");
    while (consumer.partitions(topic) == 0) {
        sleep_for(100ms, {});
    }
    std::vector<kafka::TopicPartition> from;
    for (int partition = 0; partition < consumer.partitions(topic); ++partition) {
        from.push_back({topic, partition, 0});
    }
    consumer.assign(from);
}

/// Milliseconds between the first and the last of the next `expected` records, and how many came.
std::pair<double, long long> produced(kafka::Consumer& consumer, long long expected)
{
    std::int64_t first = INT64_MAX;
    std::int64_t last = 0;
    long long count = 0;
    const auto begin = Clock::now();
    while (count < expected && seconds_since(begin) < 60) {
        for (const kafka::Message& message : consumer.poll(10'000, 200ms)) {
            first = std::min(first, message.timestamp_ms);
            last = std::max(last, message.timestamp_ms);
            ++count;
        }
    }
    return {static_cast<double>(last - first), count};
}

} // namespace

namespace {

struct Drained {
    double raw = 0;      ///< seconds of pg_recvlogical
    double streamed = 0; ///< seconds from the first record in Kafka to the last
    long long count = 0;
    double ratio() const { return raw / streamed; }
};

/// New rows while the daemon is down; then pg_recvlogical reads them, then the daemon.
Drained drain_once(const Bench& bench, pg::Connection& node, kafka::Consumer& consumer)
{
    const std::string publication(node.query("SELECT pubname FROM pg_catalog.pg_publication").text(0, 0));
    node.query("SELECT pg_catalog.pg_create_logical_replication_slot('bench_raw', 'pgoutput')");
    node.script(fmt::format(kInsert, kRows / 100));
    const Lsn end = node.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    node.query("SELECT pg_catalog.pg_logical_emit_message(true, 'bench', 'end')");
    Drained drained;
    drained.raw = receive_raw(bench, "bench_raw", publication, end);
    node.query("SELECT pg_catalog.pg_drop_replication_slot('bench_raw')");
    bench.daemon.start();
    const auto [milliseconds, count] = produced(consumer, kRows);
    drained.streamed = milliseconds / 1000;
    drained.count = count;
    return drained;
}

} // namespace

std::vector<Measured> bench_capture(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.drain (user_id uuid, post_id uuid, content text, PRIMARY KEY (user_id, post_id))");
    bench.program.run({"table", "capture", "drain"});
    // The daemon reads the empty table's snapshot first: what is drained is only the stream, as with pg_recvlogical.
    bench.daemon.start();
    bench.wait_snapshots();
    node.script(fmt::format(kInsert, kWarmUpRows / 100));
    kafka::Consumer consumer(bench.settings.kafka(), "bench");
    assign_topic(bench, consumer);
    produced(consumer, kWarmUpRows);
    bench.daemon.stop();
    std::vector<Drained> rounds;
    double memory = 0;
    for (int round = 0; round < kRounds; ++round) {
        rounds.push_back(drain_once(bench, node, consumer));
        memory = std::max(memory, static_cast<double>(bench.daemon.peak_memory()) / 1e6);
        bench.daemon.stop();
    }
    std::sort(rounds.begin(), rounds.end(), [](const Drained& a, const Drained& b) { return a.ratio() < b.ratio(); });
    const Drained& median = rounds[rounds.size() / 2];
    return {
        {fmt::format("draining {} rows to Kafka, median of {}", demo::grouped(kRows), kRounds),
         fmt::format("pg_recvlogical {:.0f} k rows/s", kRows / median.raw / 1000),
         fmt::format("{:.0f} k rows/s", static_cast<double>(median.count) / median.streamed / 1000),
         fmt::format("{:.2f} ({:.2f} to {:.2f})", median.ratio(), rounds.front().ratio(), rounds.back().ratio()),
         ">= 0.7", median.count >= kRows && median.ratio() >= 0.7},
        {"memory of the daemon meanwhile, peak", "", fmt::format("{:.0f} MB", memory), "", "< 120 MB", memory < 120}};
}

} // namespace keyshift::bench
