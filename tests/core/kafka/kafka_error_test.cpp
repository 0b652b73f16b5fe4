#include "core/kafka/kafka_error.hpp"

#include <gtest/gtest.h>

namespace keyshift::kafka {
namespace {

/// Codes of the Kafka protocol (positive) and of librdkafka itself (negative).
struct Row {
    int code;
    const char* name;
    ErrorClass expected;
};
constexpr Row kRows[] = {
    {1, "OFFSET_OUT_OF_RANGE", ErrorClass::permanent},
    {3, "UNKNOWN_TOPIC_OR_PART", ErrorClass::transient},
    {4, "INVALID_MSG_SIZE", ErrorClass::too_large},
    {5, "LEADER_NOT_AVAILABLE", ErrorClass::transient},
    {6, "NOT_LEADER_FOR_PARTITION", ErrorClass::transient},
    {7, "REQUEST_TIMED_OUT", ErrorClass::transient},
    {10, "MSG_SIZE_TOO_LARGE", ErrorClass::too_large},
    {13, "NETWORK_EXCEPTION", ErrorClass::transient},
    {17, "TOPIC_EXCEPTION", ErrorClass::permanent},
    {18, "RECORD_LIST_TOO_LARGE", ErrorClass::too_large},
    {19, "NOT_ENOUGH_REPLICAS", ErrorClass::transient},
    {20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", ErrorClass::transient},
    {29, "TOPIC_AUTHORIZATION_FAILED", ErrorClass::authorization},
    {30, "GROUP_AUTHORIZATION_FAILED", ErrorClass::authorization},
    {31, "CLUSTER_AUTHORIZATION_FAILED", ErrorClass::authorization},
    {35, "UNSUPPORTED_VERSION", ErrorClass::permanent},
    {37, "INVALID_PARTITIONS", ErrorClass::permanent},
    {38, "INVALID_REPLICATION_FACTOR", ErrorClass::permanent},
    {40, "INVALID_CONFIG", ErrorClass::permanent},
    {44, "POLICY_VIOLATION", ErrorClass::permanent},
    {45, "OUT_OF_ORDER_SEQUENCE_NUMBER", ErrorClass::transient},
    {53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", ErrorClass::authorization},
    {58, "SASL_AUTHENTICATION_FAILED", ErrorClass::authorization},
    {87, "INVALID_RECORD", ErrorClass::permanent},
    {-140, "_AUTO_OFFSET_RESET", ErrorClass::permanent},
    {-150, "_FATAL", ErrorClass::transient},
    {-149, "_INCONSISTENT", ErrorClass::transient},
    {-151, "_PURGE_INFLIGHT", ErrorClass::transient},
    {-152, "_PURGE_QUEUE", ErrorClass::transient},
    {-169, "_AUTHENTICATION", ErrorClass::authorization},
    {-185, "_TIMED_OUT", ErrorClass::transient},
    {-186, "_INVALID_ARG", ErrorClass::permanent},
    {-187, "_ALL_BROKERS_DOWN", ErrorClass::transient},
    {-192, "_MSG_TIMED_OUT", ErrorClass::transient},
    {-195, "_TRANSPORT", ErrorClass::transient},
};

TEST(KafkaError, EveryCodeHasItsClassNameAndAdvice)
{
    for (const Row& row : kRows) {
        EXPECT_EQ(classify(row.code), row.expected) << row.name;
        const ErrorParts parts = parts_of(row.code, "writing", "detail");
        EXPECT_EQ(parts.what, "writing");
        EXPECT_NE(parts.why.find(row.name), std::string::npos) << parts.why << " should name " << row.name;
        EXPECT_NE(parts.why.find("detail"), std::string::npos);
        EXPECT_FALSE(parts.next.empty()) << row.name;
    }
}

TEST(KafkaError, ThrowsWhatTheSupervisorActsUpon)
{
    EXPECT_THROW(throw_error(-195, "writing"), TransientError);
    EXPECT_THROW(throw_error(29, "writing"), FatalError);
}

} // namespace
} // namespace keyshift::kafka
