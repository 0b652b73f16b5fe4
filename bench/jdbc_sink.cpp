#include "bench/jdbc_sink.hpp"

#include "bench/measured.hpp"
#include "core/backoff.hpp"
#include "core/change_event.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr const char* kSchemas = "KEYSHIFT_CDC__SCHEMAS";
constexpr int kLimitSeconds = 240;

std::map<std::string, std::string> options(const demo::Settings& settings, const std::string& source,
                                           const std::string& table, const std::string& key)
{
    const std::string converter = "org.apache.kafka.connect.json.JsonConverter";
    const std::string batch = "5000";
    std::map<std::string, std::string> all{
        {"connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector"},
        {"tasks.max", "1"},
        {"topics", data_topic(settings.prefix, "public", source)},
        {"connection.url",
         fmt::format(
             "jdbc:postgresql://127.0.0.1:{}/{}?reWriteBatchedInserts=true&options=-c%20synchronous_commit%3Doff",
             settings.server("n1").port, settings.database)},
        {"connection.username", "postgres"},
        {"connection.password", "unused"},
        {"insert.mode", "upsert"},
        {"primary.key.mode", key.empty() ? "record_key" : "record_value"},
        {"delete.enabled", key.empty() ? "true" : "false"},
        {"collection.name.format", table},
        {"schema.evolution", "none"},
        {"batch.size", batch},
        {"use.reduction.buffer", "true"},
        {"key.converter", converter},
        {"key.converter.schemas.enable", "true"},
        {"value.converter", converter},
        {"value.converter.schemas.enable", "true"},
        {"header.converter", "org.apache.kafka.connect.storage.StringConverter"},
        {"consumer.override.max.poll.records", batch},
        {"consumer.override.auto.offset.reset", "earliest"}};
    if (!key.empty()) {
        all["primary.key.fields"] = key;
    }
    return all;
}

} // namespace

JdbcSink::JdbcSink(const demo::Settings& settings, const std::string& source, std::string table, const std::string& key)
    : table_(std::move(table)), node_(settings.connection("n1", "bench")),
      connector_("sink_" + table_, options(settings, source, table_, key))
{
}

long long JdbcSink::count(const std::string& content)
{
    return node_.query("SELECT count(*) FROM public." + table_ + " WHERE content = $1", {content}).integer(0, 0);
}

double JdbcSink::wait_content(const std::string& content, long long rows)
{
    const auto waiting = Clock::now();
    const auto look = [&](std::chrono::milliseconds pause) {
        connector_.check();
        if (seconds_since(waiting) > kLimitSeconds) {
            throw FatalError({"the JDBC sink into " + table_, "its topic does not come to an end",
                              "Read the Kafka Connect worker's log."});
        }
        sleep_for(pause, {});
        return count(content);
    };
    long long first = 0;
    while (first == 0) {
        first = look(20ms);
    }
    const auto begin = Clock::now();
    // Counting costs what the sink could use: seldom, until it is almost done.
    for (long long now = first; now < rows;) {
        now = look(now < rows * 8 / 10 ? 1000ms : 100ms);
    }
    return static_cast<double>(rows - first) / seconds_since(begin);
}

WithSchemas::WithSchemas()
{
    ::setenv(kSchemas, "true", 1);
}

WithSchemas::~WithSchemas()
{
    ::unsetenv(kSchemas);
}

} // namespace keyshift::bench
