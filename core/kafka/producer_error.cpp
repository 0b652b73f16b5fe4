#include "core/kafka/producer_error.hpp"

#include "core/kafka/kafka_error.hpp"

#include <fmt/core.h>

#include <librdkafka/rdkafka.h>

namespace keyshift::kafka {

bool may_retry(int code)
{
    return classify(code) == ErrorClass::transient;
}

bool is_fenced(int code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

ErrorParts missing_right(int code, const std::string& topics, const std::string& detail)
{
    ErrorParts parts =
        parts_of(code, "writing to " + (topics.empty() ? "a topic of this stream" : "topic " + topics), detail);
    parts.next =
        fmt::format("Allow the user of [kafka] to write there: kafka-acls --add --allow-principal User:NAME "
                    "--operation Write --operation Describe --topic {}. It goes on within a minute, or at once with "
                    "`keyshift reload`.",
                    topics.empty() ? "TOPIC" : topics);
    return parts;
}

ErrorParts end_of_producer(int code, const std::string& transactional_id, const std::string& detail)
{
    if (is_fenced(code)) {
        return {
            "writing as transactional.id " + transactional_id,
            fmt::format("the broker shut this producer out [{}]: another one has taken the id over, or a transaction "
                        "was open for longer than transaction.timeout.ms",
                        rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code))),
            "Whoever holds the node's slot goes on from the last progress record."};
    }
    ErrorParts parts = parts_of(code, "the idempotent producer gave up", detail);
    if (code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED) {
        parts.what = "writing as transactional.id " + transactional_id;
        parts.next = fmt::format(
            "Allow the user of [kafka] to write in transactions: kafka-acls --add --allow-principal "
            "User:NAME --operation Write --operation Describe --transactional-id {}{}",
            transactional_id,
            code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ? " and --operation IdempotentWrite --cluster" : "");
    } else if (may_retry(code)) {
        parts.next = "A new producer replays from the confirmed position.";
    }
    return parts;
}

} // namespace keyshift::kafka
