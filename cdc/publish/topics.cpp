#include "cdc/publish/topics.hpp"

#include "core/backoff.hpp"
#include "core/kafka/client.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace keyshift::cdc {

namespace {

// What the format of a batch adds to a single record, with room to spare for lengths of headers.
constexpr std::size_t kBatchOverhead = 512;
// librdkafka's own; brokers take it unless somebody changed them.
constexpr std::size_t kUsualLimit = 1'000'000;

} // namespace

Topics::Topics(const CdcOptions& options, std::string client_id)
    : options_(options), client_id_(std::move(client_id)), client_limit_(kafka::message_limit(options.kafka))
{
}

const std::string& Topics::ensure(const std::string& topic, int partitions)
{
    // No lock: nobody else writes.
    if (const auto known = known_.find(topic); known != known_.end()) {
        return known->first;
    }
    kafka::Admin admin(options_.kafka, client_id_);
    kafka::TopicSettings wanted{topic, partitions, options_.replication_factor, {{"cleanup.policy", "delete"}}};
    if (client_limit_ > kUsualLimit) {
        // Whoever allows larger records means the topics too.
        wanted.config["max.message.bytes"] = std::to_string(client_limit_ + kBatchOverhead);
    }
    const bool created = admin.ensure_topic(wanted);
    const Known found{created ? partitions : admin.partitions(topic),
                      std::min(client_limit_, topic_limit(admin, topic))};
    std::scoped_lock lock(mutex_);
    return known_.emplace(topic, found).first->first;
}

std::size_t Topics::topic_limit(kafka::Admin& admin, const std::string& topic) const
{
    // A topic that was made just now is not known to every broker at once.
    constexpr int kTries = 50;
    constexpr auto kPause = std::chrono::milliseconds(50);
    for (int tries = 1;; ++tries) {
        try {
            const std::size_t batch =
                std::strtoull(admin.topic_config(topic, "max.message.bytes").c_str(), nullptr, 10);
            return batch > kBatchOverhead ? batch - kBatchOverhead : client_limit_;
        } catch (const FatalError&) {
            // DescribeConfigs is not allowed: what is too large is then refused by the broker.
            return client_limit_;
        } catch (const TransientError&) {
            if (tries == kTries) {
                throw;
            }
            sleep_for(kPause, {});
        }
    }
}

std::size_t Topics::limit(std::string_view topic) const
{
    const auto known = known_.find(topic);
    return known == known_.end() ? client_limit_ : known->second.limit;
}

std::optional<ErrorParts> Topics::outgrown(const std::string& topic, std::int32_t partition) const
{
    std::scoped_lock lock(mutex_);
    const auto known = known_.find(topic);
    if (known == known_.end() || partition < known->second.partitions) {
        return std::nullopt;
    }
    return ErrorParts{
        fmt::format("writing to topic {}", topic),
        fmt::format(
            "it had {} partitions and has more now: records of a key would go to another partition than its earlier ones",
            known->second.partitions),
        "Let consumers read the topic to its end, then start keyshift again: it goes on with the new count."};
}

} // namespace keyshift::cdc
