#pragma once
/// Inside core/kafka: librdkafka's objects and how they are configured.

#include "core/handle.hpp"
#include "core/kafka/client.hpp"

#include <librdkafka/rdkafka.h>

#include <string>

namespace keyshift::kafka {

using Configuration = Handle<rd_kafka_conf_t, &rd_kafka_conf_destroy>;
using TopicList = Handle<rd_kafka_topic_partition_list_t, &rd_kafka_topic_partition_list_destroy>;
using Queue = Handle<rd_kafka_queue_t, &rd_kafka_queue_destroy>;
using MessageHandle = Handle<rd_kafka_message_t, &rd_kafka_message_destroy>;
using Client = Handle<rd_kafka_t, &rd_kafka_destroy>;

/// The user's settings over Keyshift's own defaults; throws Error(configuration) naming the bad key. Never prints values.
Configuration configuration(const Settings& settings, const Settings& defaults, const std::string& client_id);
/// The configuration is consumed, also on failure.
Client make_client(rd_kafka_type_t type, Configuration configuration);

/// Partition count of a topic as the broker says; 0: there is none. Throws TransientError when no broker answers.
int partition_count(rd_kafka_t* client, const std::string& topic);

} // namespace keyshift::kafka
