#include "bench/projections.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/json.hpp"
#include "core/kafka/client.hpp"

#include <algorithm>
#include <vector>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Behind the last record of a partition. What follows are the ends of transactions: one or several, there are two producers.
std::int64_t end_of_records(kafka::Consumer& consumer, const std::string& topic, std::int32_t partition)
{
    constexpr std::int64_t kLook = 100;
    const auto [first, end] = consumer.watermarks(topic, partition);
    std::int64_t next = std::max(first, end - kLook);
    const std::vector<kafka::TopicPartition> from{{topic, partition, next}};
    consumer.assign(from);
    while (!consumer.passed(topic, partition, next, end)) {
        for (const kafka::Message& message : consumer.poll(kLook, 100ms)) {
            next = message.offset + 1;
        }
    }
    return next;
}

} // namespace

void wait_captured(const Bench& bench)
{
    pg::Connection node(bench.settings.connection("n1", "bench"));
    const std::string written(node.query("SELECT pg_current_wal_insert_lsn()").text(0, 0));
    for (int tries = 0; tries < 1200; ++tries) {
        const std::string confirmed = bench.program.json({"cdc", "status"})[0]["confirmed_lsn"];
        if (node.query("SELECT $1::pg_lsn >= $2::pg_lsn", {confirmed, written}).boolean(0, 0)) {
            return;
        }
        sleep_for(100ms, {});
    }
    throw FatalError({"waiting for capture", "it does not come to " + written, "Read daemon.log."});
}

void wait_projection(const Bench& bench, const std::string& name, const std::string& state)
{
    pg::Connection catalog(bench.settings.connection("n1", "bench"));
    for (int tries = 0; tries < 12'000; ++tries) {
        const pg::Result now =
            catalog.query("SELECT bool_and(state = $2) FROM keyshift.projection WHERE name = $1", {name, state});
        if (!now.is_null(0, 0) && now.boolean(0, 0)) {
            return;
        }
        sleep_for(10ms, {});
    }
    throw FatalError({"waiting for projection " + name, "it does not become " + state, "Read daemon.log."});
}

void pile_up(const Bench& bench, const std::string& name, const std::string& sql)
{
    bench.program.run({"projection", "pause", name});
    wait_projection(bench, name, "paused");
    pg::Connection(bench.settings.connection("n1", "bench")).script(sql);
    wait_captured(bench);
}

Drain::Drain(const Bench& bench, std::string projection, const std::string& table)
    : bench_(bench), node_(bench.settings.connection("n1", "bench")), projection_(std::move(projection))
{
    kafka::Consumer consumer(bench.settings.kafka(), "bench");
    const std::string topic = data_topic(bench.settings.prefix, "public", table);
    const int partitions = consumer.partitions(topic);
    for (int partition = 0; partition < partitions; ++partition) {
        end_ += static_cast<double>(end_of_records(consumer, topic, partition));
    }
    begin_ = progress();
}

double Drain::progress()
{
    return static_cast<double>(
        node_
            .query("SELECT coalesce(sum(next_offset), 0)::bigint FROM keyshift.projection_progress "
                   "WHERE projection = $1",
                   {projection_})
            .integer(0, 0));
}

Drain::Figures Drain::finish(double events)
{
    double from = begin_;
    double now = begin_;
    double cpu = 0;
    Clock::time_point first;
    const auto waiting = Clock::now();
    while (now < end_) {
        if (seconds_since(waiting) > 180) {
            throw FatalError({"projection " + projection_, "its topic does not come to an end", "Read daemon.log."});
        }
        sleep_for(10ms, {});
        now = progress();
        if (from == begin_ && now > begin_) {
            from = now;
            first = Clock::now();
            cpu = bench_.daemon.cpu_seconds();
        }
    }
    const double applied = events * (now - from) / (end_ - begin_);
    return {applied / seconds_since(first), (bench_.daemon.cpu_seconds() - cpu) * 1e6 / applied};
}

} // namespace keyshift::bench
