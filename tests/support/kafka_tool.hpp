#pragma once
/// What somebody else does to a broker meanwhile, with Kafka's own command line tools.

#include "core/kafka/client.hpp"

#include <string>
#include <vector>

namespace keyshift::test {

/// Runs a tool of Kafka's, e.g. "org.apache.kafka.tools.TopicCommand", at the broker of `settings`. Throws with what it says
/// unless it exits with 0.
void kafka_tool(const kafka::Settings& settings, const std::string& tool, const std::vector<std::string>& arguments);
/// Sets one setting of a topic and waits until the broker has it.
void alter_topic(const kafka::Settings& settings, const std::string& topic, const std::string& key,
                 const std::string& value);
/// Deletes a topic and waits until it is gone.
void delete_topic(const kafka::Settings& settings, const std::string& topic);
/// What retention does, at once: records below these offsets go, per partition.
void delete_records(const kafka::Settings& settings, const std::string& topic,
                    const std::vector<std::int64_t>& offsets);
void set_partitions(const kafka::Settings& settings, const std::string& topic, int partitions);

} // namespace keyshift::test
