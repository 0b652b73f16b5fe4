#include "bench/topic_reader.hpp"

#include "bench/measured.hpp"
#include "core/backoff.hpp"
#include "core/kafka/client.hpp"

#include <algorithm>
#include <climits>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
constexpr int kPartitions = 4;

} // namespace

void make_topic(const demo::Settings& settings, const std::string& topic)
{
    kafka::Admin admin(settings.kafka(), "bench");
    admin.ensure_topic({topic, kPartitions, 1, {{"message.timestamp.type", "LogAppendTime"}}});
}

TopicReader::TopicReader(const demo::Settings& settings, std::string topic)
    : settings_(settings), topic_(std::move(topic)), next_(kPartitions)
{
    kafka::Consumer consumer(settings_.kafka(), "bench");
    for (int partition = 0; partition < kPartitions; ++partition) {
        next_.at(static_cast<std::size_t>(partition)) = consumer.watermarks(topic_, partition).second;
    }
    from_ = end();
}

long long TopicReader::end() const
{
    kafka::Consumer consumer(settings_.kafka(), "bench");
    long long end = 0;
    for (int partition = 0; partition < kPartitions; ++partition) {
        end += consumer.watermarks(topic_, partition).second;
    }
    return end;
}

void TopicReader::wait(long long records, int limit_seconds)
{
    const auto begin = std::chrono::steady_clock::now();
    long long before = -1;
    while (seconds_since(begin) < limit_seconds) {
        const long long now = end();
        if (now - from_ >= records && now == before) {
            return;
        }
        before = now;
        sleep_for(400ms, {});
    }
}

TopicReader::Arrived TopicReader::take(long long records)
{
    kafka::Consumer consumer(settings_.kafka(), "bench");
    std::vector<kafka::TopicPartition> from;
    for (int partition = 0; partition < kPartitions; ++partition) {
        from.push_back({topic_, partition, next_.at(static_cast<std::size_t>(partition))});
    }
    consumer.assign(from);
    Arrived arrived{0, INT64_MAX, 0};
    constexpr int kQuietSeconds = 10;
    auto heard = std::chrono::steady_clock::now();
    while (arrived.records < records && seconds_since(heard) < kQuietSeconds) {
        for (const kafka::Message& message : consumer.poll(10'000, 500ms)) {
            heard = std::chrono::steady_clock::now();
            ++arrived.records;
            arrived.first_ms = std::min(arrived.first_ms, message.timestamp_ms);
            arrived.last_ms = std::max(arrived.last_ms, message.timestamp_ms);
        }
    }
    for (int partition = 0; partition < kPartitions; ++partition) {
        next_.at(static_cast<std::size_t>(partition)) = consumer.watermarks(topic_, partition).second;
    }
    from_ = end();
    return arrived;
}

} // namespace keyshift::bench
