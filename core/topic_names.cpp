#include "core/topic_names.hpp"

#include "core/change_event.hpp"

#include <fmt/core.h>

namespace keyshift {

std::optional<TopicNames::Objection> TopicNames::claim(const QualifiedName& table)
{
    constexpr std::size_t kMostLetters = 249; // Kafka's limit
    const std::string topic = data_topic(prefix_, table.schema, table.name);
    if (topic.size() > kMostLetters) {
        return Objection{
            std::nullopt,
            fmt::format("its topic would have a name of {} letters; Kafka takes {}", topic.size(), kMostLetters),
            "Use a shorter cdc.topic_prefix (before `keyshift init`), or rename the table or its schema."};
    }
    const QualifiedName& owner = owners_.try_emplace(topic, table).first->second;
    if (owner == table) {
        return std::nullopt;
    }
    return Objection{owner,
                     fmt::format("its topic would be {}, which is the topic of {}: what a topic's name cannot hold "
                                 "becomes '_', and a dot in a name looks like the one between names",
                                 topic, owner.quoted()),
                     fmt::format("Rename one of the two: ALTER TABLE {} RENAME TO ...;", table.quoted())};
}

} // namespace keyshift
