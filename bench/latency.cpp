#include "bench/debezium.hpp"
#include "bench/measured.hpp"
#include "bench/topic_reader.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/kafka/client.hpp"

#include <fmt/core.h>

#include <array>
#include <optional>
#include <thread>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRowsPerTransaction = 10;
constexpr int kTransactionsPerSecond = 500;
constexpr int kSeconds = 10;
constexpr int kRows = kRowsPerTransaction * kTransactionsPerSecond * kSeconds;
constexpr int kPartitions = 4;

/// Number of the row in a record's key, {"id":17}.
int row_number(const std::string& key)
{
    return std::stoi(key.substr(key.find(':') + 1));
}

/// Rows `first` and up, at the pace; when each was committed.
std::vector<Clock::time_point> write_rows(pg::Connection& node, int first)
{
    std::vector<Clock::time_point> committed(kRows);
    const auto begin = Clock::now();
    for (int row = 0; row < kRows; row += kRowsPerTransaction) {
        std::this_thread::sleep_until(begin + row * std::chrono::microseconds(1'000'000) /
                                                  (kRowsPerTransaction * kTransactionsPerSecond));
        node.run_prepared("insert",
                          "INSERT INTO public.latency SELECT i, 'content' FROM generate_series($1::int, $2::int) i",
                          std::array{pg::Parameter(std::to_string(first + row)),
                                     pg::Parameter(std::to_string(first + row + kRowsPerTransaction - 1))});
        std::fill_n(committed.begin() + row, kRowsPerTransaction, Clock::now());
    }
    return committed;
}

struct Latencies {
    double p50 = 0;
    double p99 = 0;
};

/// Milliseconds from commit to consumer, row by row.
Latencies measure(const Bench& bench, const std::string& topic, int first)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    kafka::Settings settings = bench.settings.kafka();
    settings["fetch.wait.max.ms"] = "10";
    kafka::Consumer consumer(settings, "bench");
    std::vector<kafka::TopicPartition> from;
    for (int partition = 0; partition < kPartitions; ++partition) {
        from.push_back({topic, partition, consumer.watermarks(topic, partition).second});
    }
    consumer.assign(from);
    consumer.poll(1, 1s);
    std::vector<Clock::time_point> committed;
    std::jthread writer([&](std::stop_token) { committed = write_rows(node, first); });
    std::vector<Clock::time_point> received(kRows);
    const auto begin = Clock::now();
    for (int seen = 0; seen < kRows && seconds_since(begin) < 4 * kSeconds;) {
        for (const kafka::Message& message : consumer.poll(1000, 100ms)) {
            const int row = message.key ? row_number(*message.key) - first : -1;
            if (row >= 0 && row < kRows) {
                received[static_cast<std::size_t>(row)] = Clock::now();
                ++seen;
            }
        }
    }
    writer.join();
    std::vector<double> milliseconds;
    for (std::size_t row = 0; row < committed.size(); ++row) {
        milliseconds.push_back(std::chrono::duration<double, std::milli>(received[row] - committed[row]).count());
    }
    return {quantile(milliseconds, 0.5), quantile(milliseconds, 0.99)};
}

std::string words(const Latencies& latencies)
{
    return fmt::format("p50 {:.1f} ms, p99 {:.1f} ms", latencies.p50, latencies.p99);
}

} // namespace

std::vector<Measured> bench_latency(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.latency (id int PRIMARY KEY, content text)");
    const std::string topic = data_topic(bench.settings.prefix, "public", "latency");
    make_topic(bench.settings, topic);
    bench.program.run({"table", "capture", "latency"});
    bench.daemon.start();
    bench.wait_snapshots();
    measure(bench, topic, 1); // warms up
    const Latencies ours = measure(bench, topic, kRows + 1);
    bench.daemon.stop();
    std::string beside = "no Debezium";
    if (Connector::worker_present()) {
        make_topic(bench.settings, data_topic(Debezium::kPrefix, "public", "latency"));
        const Debezium debezium(bench.settings, "latency", "no_data");
        debezium.wait_streaming();
        measure(bench, debezium.topic(), 2 * kRows + 1);
        beside = "Debezium " + words(measure(bench, debezium.topic(), 3 * kRows + 1));
    }
    const std::string rate = fmt::format("{} rows/s", kRowsPerTransaction * kTransactionsPerSecond);
    return {{"commit to consumer at " + rate, beside, words(ours), "", "p50 < 5 ms, p99 < 20 ms",
             ours.p50 < 5 && ours.p99 < 20}};
}

} // namespace keyshift::bench
