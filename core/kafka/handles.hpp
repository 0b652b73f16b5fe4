#pragma once
/// Inside core/kafka: librdkafka's objects and how they are configured.

#include "core/handle.hpp"
#include "core/kafka/client.hpp"

#include <librdkafka/rdkafka.h>

#include <functional>
#include <string>

namespace keyshift::kafka {

using Configuration = Handle<rd_kafka_conf_t, &rd_kafka_conf_destroy>;
using TopicList = Handle<rd_kafka_topic_partition_list_t, &rd_kafka_topic_partition_list_destroy>;
using Queue = Handle<rd_kafka_queue_t, &rd_kafka_queue_destroy>;
using MessageHandle = Handle<rd_kafka_message_t, &rd_kafka_message_destroy>;
using Client = Handle<rd_kafka_t, &rd_kafka_destroy>;

/// The user's settings over Keyshift's own defaults; throws Error(configuration) naming the bad key. Never prints values.
Configuration configuration(const Settings& settings, const Settings& defaults, const std::string& client_id);
/// A line of librdkafka's log into ours; what configuration() sets.
void log_line(const rd_kafka_t* client, int level, const char* facility, const char* text);
/// The configuration is consumed, also on failure.
Client make_client(rd_kafka_type_t type, Configuration configuration);

/// Asks with a time limit in milliseconds, again and again until a broker answers or the whole limit has passed; `on_wait` is
/// called in between and may throw to give up.
rd_kafka_resp_err_t ask_patiently(const std::function<rd_kafka_resp_err_t(int)>& ask, int limit_ms,
                                  const std::function<void()>& on_wait);
/// Partition count of a topic as the broker says; 0: there is none. Throws TransientError when no broker answers. `on_wait`
/// is called meanwhile; it may throw to give up.
int partition_count(rd_kafka_t* client, const std::string& topic, const std::function<void()>& on_wait = {});

} // namespace keyshift::kafka
