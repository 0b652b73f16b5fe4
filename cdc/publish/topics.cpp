#include "cdc/publish/topics.hpp"

#include "core/kafka/client.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

void Topics::ensure(const std::string& topic, int partitions)
{
    // No lock: nobody else writes.
    if (partitions_.contains(topic)) {
        return;
    }
    kafka::Admin admin(options_.kafka, client_id_);
    const bool created =
        admin.ensure_topic({topic, partitions, options_.replication_factor, {{"cleanup.policy", "delete"}}});
    const int found = created ? partitions : admin.partitions(topic);
    std::scoped_lock lock(mutex_);
    partitions_.emplace(topic, found);
}

std::optional<ErrorParts> Topics::outgrown(const std::string& topic, std::int32_t partition) const
{
    std::scoped_lock lock(mutex_);
    const auto known = partitions_.find(topic);
    if (known == partitions_.end() || partition < known->second) {
        return std::nullopt;
    }
    return ErrorParts{
        fmt::format("writing to topic {}", topic),
        fmt::format(
            "it had {} partitions and has more now: records of a key would go to another partition than its earlier ones",
            known->second),
        "Let consumers read the topic to its end, then start keyshift again: it goes on with the new count."};
}

} // namespace keyshift::cdc
