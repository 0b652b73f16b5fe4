#pragma once
/// How far each node's stream is in Kafka, from the progress records of the control topic.

#include "core/change_event.hpp"
#include "core/kafka/client.hpp"

#include <map>
#include <stop_token>
#include <string>

namespace keyshift::projections {

/// Waits until the progress of every node in `wanted` has reached its LSN. False: stop was requested.
bool wait_for_streams(const kafka::Settings& settings, const std::string& topic_prefix,
                      const std::map<std::string, Lsn>& wanted, std::stop_token stop);

} // namespace keyshift::projections
