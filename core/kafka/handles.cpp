#include "core/kafka/handles.hpp"

#include "core/kafka/kafka_error.hpp"
#include "core/log.hpp"

#include <array>
#include <chrono>
#include <fmt/core.h>

namespace keyshift::kafka {

namespace {

constexpr int kTimeoutMs = 10'000;
constexpr int kSliceMs = 500;

void set(rd_kafka_conf_t* configuration, const std::string& key, const std::string& value)
{
    std::array<char, 512> reason{};
    if (rd_kafka_conf_set(configuration, key.c_str(), value.c_str(), reason.data(), reason.size()) !=
        RD_KAFKA_CONF_OK) {
        throw Error(ErrorKind::configuration,
                    {fmt::format("[kafka] \"{}\"", key), reason.data(),
                     "Correct the key in the [kafka] section; librdkafka 2.0's names are meant."});
    }
}

} // namespace

void log_line(const rd_kafka_t*, int level, const char*, const char* text)
{
    // Syslog levels: 3 is an error, 4 a warning. A broker that is away is the normal business of reconnecting.
    if (level <= 3) {
        log::warning("kafka", "{}", text);
    } else {
        log::debug("kafka", "{}", text);
    }
}

Configuration configuration(const Settings& settings, const Settings& defaults, const std::string& client_id)
{
    Configuration result(rd_kafka_conf_new());
    set(result.get(), "client.id", client_id);
    for (const auto& [key, value] : defaults) {
        set(result.get(), key, value);
    }
    for (const auto& [key, value] : settings) {
        set(result.get(), key, value);
    }
    rd_kafka_conf_set_log_cb(result.get(), log_line);
    return result;
}

void check(const Settings& settings)
{
    if (!settings.contains("bootstrap.servers")) {
        throw Error(ErrorKind::configuration, {"[kafka]", "\"bootstrap.servers\" is missing",
                                               "Name at least one broker: \"bootstrap.servers\" = \"host:9092\"."});
    }
    make_client(RD_KAFKA_PRODUCER, configuration(settings, {}, "keyshift-check"));
}

Client make_client(rd_kafka_type_t type, Configuration configuration)
{
    std::array<char, 512> reason{};
    rd_kafka_t* client = rd_kafka_new(type, configuration.get(), reason.data(), reason.size());
    if (client == nullptr) {
        throw Error(ErrorKind::configuration, {"[kafka]", reason.data(), "Correct the [kafka] section."});
    }
    static_cast<void>(configuration.release());
    return Client(client);
}

rd_kafka_resp_err_t ask_patiently(const std::function<rd_kafka_resp_err_t(int)>& ask, int limit_ms,
                                  const std::function<void()>& on_wait)
{
    if (!on_wait) {
        return ask(limit_ms);
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (true) {
        const auto error = ask(kSliceMs);
        const bool unanswered = error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT;
        if (!unanswered || std::chrono::steady_clock::now() >= end) {
            return error;
        }
        on_wait();
    }
}

int partition_count(rd_kafka_t* client, const std::string& topic, const std::function<void()>& on_wait)
{
    using Topic = Handle<rd_kafka_topic_t, &rd_kafka_topic_destroy>;
    const Topic handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
    const rd_kafka_metadata_t* raw = nullptr;
    const auto error = ask_patiently(
        [&](int limit_ms) { return rd_kafka_metadata(client, 0, handle.get(), &raw, limit_ms); }, kTimeoutMs, on_wait);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw_error(error, "asking for topic " + topic);
    }
    const Handle<const rd_kafka_metadata_t, &rd_kafka_metadata_destroy> metadata(raw);
    const rd_kafka_metadata_topic_t& found = metadata->topics[0];
    if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        return 0;
    }
    if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw_error(found.err, "asking for topic " + topic);
    }
    return found.partition_cnt;
}

} // namespace keyshift::kafka
