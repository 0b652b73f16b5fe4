#include "core/kafka/kafka_error.hpp"

#include <fmt/core.h>

#include <librdkafka/rdkafka.h>

namespace keyshift::kafka {

ErrorClass classify(int code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        return ErrorClass::too_large;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return ErrorClass::authorization;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        return ErrorClass::permanent;
    default:
        return ErrorClass::transient;
    }
}

ErrorParts parts_of(int code, const std::string& doing, const std::string& detail)
{
    const auto error = static_cast<rd_kafka_resp_err_t>(code);
    const std::string why = fmt::format("{} [{}]{}{}", rd_kafka_err2str(error), rd_kafka_err2name(error),
                                        detail.empty() ? "" : ": ", detail);
    switch (classify(code)) {
    case ErrorClass::too_large:
        return {doing, why,
                "Raise max.message.bytes of the topic and message.max.bytes in [kafka], or leave the column out."};
    case ErrorClass::authorization:
        return {doing, why, "Give the user of [kafka] the rights Describe, Create, Write and Read on these topics."};
    case ErrorClass::permanent:
        return {doing, why, "Correct the setting or the topic, then restart."};
    case ErrorClass::transient:
        break;
    }
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
        return {doing, why, "Create the topic again, or see whether somebody deleted it; it is tried again."};
    }
    return {doing, why, "It is tried again when the brokers answer."};
}

void throw_error(int code, const std::string& doing, const std::string& detail)
{
    ErrorParts parts = parts_of(code, doing, detail);
    if (classify(code) == ErrorClass::transient) {
        throw TransientError(std::move(parts));
    }
    throw FatalError(std::move(parts));
}

} // namespace keyshift::kafka
