#pragma once
/// What a librdkafka error code means for the caller, in one table, and the words an operator reads.

#include "core/error.hpp"

#include <string>

namespace keyshift::kafka {

enum class ErrorClass {
    transient,     ///< librdkafka or the caller's retry gets over it
    authorization, ///< the broker says no
    too_large,     ///< the record can never be written under the present limits
    permanent,
};

/// `code` is an rd_kafka_resp_err_t.
ErrorClass classify(int code);
/// Error's name, its words, and what to do about it.
ErrorParts parts_of(int code, const std::string& doing, const std::string& detail = {});
[[noreturn]] void throw_error(int code, const std::string& doing, const std::string& detail = {});

} // namespace keyshift::kafka
