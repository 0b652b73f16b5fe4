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

// 100 rows a transaction; uuids and 64 bytes of text.
constexpr const char* kInsert = R"(DO $$ BEGIN
    FOR i IN 1..{} LOOP
        INSERT INTO public.drain SELECT gen_random_uuid(), gen_random_uuid(), repeat('x', 64) FROM generate_series(1, 100);
        COMMIT;
    END LOOP; END $$)";

/// Seconds that pg_recvlogical needs for the same changes, thrown away.
double receive_raw(const Bench& bench, const std::string& slot, const std::string& publication, Lsn end)
{
    const std::string command = fmt::format(
        "{}/pg_recvlogical -h 127.0.0.1 -p {} -U postgres -d {} --slot={} --start --endpos={} -o proto_version=1 "
        "-o publication_names={} --no-loop -f /dev/null",
        std::getenv("PG_BIN"), bench.settings.server("n1").port, bench.settings.database, slot, end.to_string(),
        publication);
    const auto begin = Clock::now();
    if (std::system(command.c_str()) != 0) {
        throw FatalError({"pg_recvlogical", "it failed", "Read what it printed."});
    }
    return seconds_since(begin);
}

/// Milliseconds between the first and the last record of the topic, and how many there are.
std::pair<double, long long> produced(const Bench& bench, long long expected)
{
    kafka::Consumer consumer(bench.settings.kafka(), "bench");
    const std::string topic = data_topic(bench.settings.prefix, "public", "drain");
    for (int tries = 0; consumer.partitions(topic) == 0 && tries < 100; ++tries) {
        sleep_for(100ms, {});
    }
    std::vector<kafka::TopicPartition> from;
    for (int partition = 0; partition < consumer.partitions(topic); ++partition) {
        from.push_back({topic, partition, 0});
    }
    consumer.assign(from);
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

std::vector<Measured> bench_capture(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.drain (user_id uuid, post_id uuid, content text, PRIMARY KEY (user_id, post_id))");
    bench.program.run({"table", "capture", "drain"});
    const std::string publication(node.query("SELECT pubname FROM pg_catalog.pg_publication").text(0, 0));
    node.query("SELECT pg_catalog.pg_create_logical_replication_slot('bench_raw', 'pgoutput')");
    node.script(fmt::format(kInsert, kRows / 100));
    const Lsn end = node.query("SELECT pg_catalog.pg_current_wal_lsn()").lsn(0, 0);
    node.query("SELECT pg_catalog.pg_logical_emit_message(true, 'bench', 'end')");
    node.query("SELECT pg_catalog.pg_create_logical_replication_slot('bench_raw_2', 'pgoutput')");

    const double raw = receive_raw(bench, "bench_raw", publication, end);
    node.query(
        "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name LIKE 'bench%'");
    bench.daemon.start();
    const auto [milliseconds, count] = produced(bench, kRows);
    const double memory = static_cast<double>(bench.daemon.peak_memory()) / 1e6;
    bench.daemon.stop();
    const double ratio = raw / (milliseconds / 1000);
    return {
        {fmt::format("draining {} rows to Kafka", demo::grouped(kRows)),
         fmt::format("pg_recvlogical {:.0f} k rows/s", kRows / raw / 1000),
         fmt::format("{:.0f} k rows/s", static_cast<double>(count) / milliseconds), fmt::format("{:.2f}", ratio),
         ">= 0.7", count >= kRows && ratio >= 0.7},
        {"memory of the daemon meanwhile, peak", "", fmt::format("{:.0f} MB", memory), "", "< 120 MB", memory < 120}};
}

} // namespace keyshift::bench
