#pragma once
/// What ends a producer, in words. Codes are rd_kafka_resp_err_t.

#include "core/error.hpp"

#include <string>

namespace keyshift::kafka {

/// An error after which a new producer may deliver the same record: it never says that the record itself is bad.
bool may_retry(int code);
/// Another producer has the transactional.id.
bool is_fenced(int code);
/// Words for a topic that may not be written. `topics`: "" when they are not known.
ErrorParts missing_right(int code, const std::string& topics, const std::string& detail);
/// Words for an error that ends a producer.
ErrorParts end_of_producer(int code, const std::string& transactional_id, const std::string& detail);

} // namespace keyshift::kafka
