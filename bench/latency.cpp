#include "bench/measured.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"

#include <fmt/core.h>

#include <array>
#include <map>
#include <thread>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr int kRate = 1000;
constexpr int kSeconds = 10;

/// Number of the row in a record's key, {"id":17}.
int row_number(const std::string& key)
{
    return std::stoi(key.substr(key.find(':') + 1));
}

} // namespace

std::vector<Measured> bench_latency(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    node.script("CREATE TABLE public.latency (id int PRIMARY KEY, content text)");
    bench.program.run({"table", "capture", "latency"});
    bench.daemon.start();
    bench.wait_snapshots();
    // The first row makes the topic; its latency is not counted.
    node.query("INSERT INTO public.latency VALUES (0, 'warm up')");
    kafka::Consumer consumer(bench.settings.kafka(), "bench");
    const std::string topic = data_topic(bench.settings.prefix, "public", "latency");
    while (consumer.partitions(topic) == 0) {
        sleep_for(100ms, {});
    }
    std::vector<kafka::TopicPartition> from;
    for (int partition = 0; partition < consumer.partitions(topic); ++partition) {
        from.push_back({topic, partition, 0});
    }
    consumer.assign(from);
    std::vector<Clock::time_point> committed(kRate * kSeconds + 1);
    std::vector<Clock::time_point> received(committed.size());
    int seen = 0;
    const auto consume = [&](std::chrono::milliseconds wait) {
        for (const kafka::Message& message : consumer.poll(1000, wait)) {
            received[static_cast<std::size_t>(row_number(*message.key))] = Clock::now();
            ++seen;
        }
    };
    while (seen == 0) {
        consume(100ms);
    }
    std::jthread writer([&](std::stop_token) {
        const auto begin = Clock::now();
        for (int row = 1; row < static_cast<int>(committed.size()); ++row) {
            std::this_thread::sleep_until(begin + row * std::chrono::microseconds(1'000'000 / kRate));
            node.run_prepared("insert", "INSERT INTO public.latency VALUES ($1::int, 'content')",
                              std::array{pg::Parameter(std::to_string(row))});
            committed[static_cast<std::size_t>(row)] = Clock::now();
        }
    });
    while (seen < static_cast<int>(committed.size())) {
        consume(100ms);
    }
    writer.join();
    bench.daemon.stop();
    std::vector<double> milliseconds;
    for (std::size_t row = 1; row < committed.size(); ++row) {
        milliseconds.push_back(std::chrono::duration<double, std::milli>(received[row] - committed[row]).count());
    }
    const double p99 = quantile(milliseconds, 0.99);
    return {{fmt::format("commit to consumer at {} rows/s", kRate), "",
             fmt::format("p50 {:.1f} ms, p99 {:.1f} ms", quantile(milliseconds, 0.5), p99), "", "p99 < 50 ms",
             p99 < 50}};
}

} // namespace keyshift::bench
