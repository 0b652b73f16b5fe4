#include "tests/support/kafka_tool.hpp"

#include "core/backoff.hpp"
#include "tests/support/process.hpp"

#include <chrono>
#include <functional>
#include <stdexcept>

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

void wait_until(const std::string& what, const std::function<bool()>& condition)
{
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            throw std::runtime_error(what + " does not come");
        }
        sleep_for(50ms, {});
    }
}

} // namespace

void kafka_tool(const kafka::Settings& settings, const std::string& tool, const std::vector<std::string>& arguments)
{
    const std::string functions = std::string(KEYSHIFT_SOURCE_DIR) + "/tests/support/servers.bash";
    std::vector<std::string> command{
        "/bin/bash",
        "-c",
        ". \"$1\"; shift; exec java -Xmx256m -XX:TieredStopAtLevel=1 -cp \"$(kafka_jars)/*\" \"$@\"",
        "bash",
        functions,
        tool,
        "--bootstrap-server",
        settings.at("bootstrap.servers")};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Finished done = run_program(command, {}, 120s);
    if (done.status != 0) {
        throw std::runtime_error(tool + ": " + done.out + done.err);
    }
}

void alter_topic(const kafka::Settings& settings, const std::string& topic, const std::string& key,
                 const std::string& value)
{
    kafka_tool(settings, "kafka.admin.ConfigCommand",
               {"--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", key + "=" + value});
    kafka::Admin admin(settings, "tool");
    wait_until(key + " of " + topic, [&] { return admin.topic_config(topic, key) == value; });
}

void delete_topic(const kafka::Settings& settings, const std::string& topic)
{
    kafka_tool(settings, "org.apache.kafka.tools.TopicCommand", {"--delete", "--topic", topic});
    kafka::Admin admin(settings, "tool");
    wait_until("the end of " + topic, [&] { return admin.partitions(topic) == 0; });
}

void delete_records(const kafka::Settings& settings, const std::string& topic, const std::vector<std::int64_t>& offsets)
{
    std::string partitions;
    for (std::size_t at = 0; at < offsets.size(); ++at) {
        partitions += (at == 0 ? "" : ",") + std::string(R"({"topic":")") + topic + R"(","partition":)" +
                      std::to_string(at) + R"(,"offset":)" + std::to_string(offsets[at]) + "}";
    }
    const TemporaryDirectory directory;
    kafka_tool(
        settings, "org.apache.kafka.tools.DeleteRecordsCommand",
        {"--offset-json-file", directory.write("offsets.json", R"({"version":1,"partitions":[)" + partitions + "]}")});
}

void set_partitions(const kafka::Settings& settings, const std::string& topic, int partitions)
{
    kafka_tool(settings, "org.apache.kafka.tools.TopicCommand",
               {"--alter", "--topic", topic, "--partitions", std::to_string(partitions)});
    kafka::Admin admin(settings, "tool");
    wait_until("more partitions of " + topic, [&] { return admin.partitions(topic) == partitions; });
}

} // namespace keyshift::test
