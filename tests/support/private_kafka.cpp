#include "tests/support/private_kafka.hpp"

#include <csignal>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace keyshift::test {

namespace {

/// Not a zombie either: the broker's parent has gone, and nobody need reap it soon.
bool is_running(pid_t pid)
{
    std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
    std::string number;
    std::string name;
    std::string state;
    return status >> number >> name >> state && state != "Z";
}

} // namespace

PrivateKafka::PrivateKafka(const std::vector<std::string>& settings) : port_(free_port())
{
    run("kafka_start", settings);
}

PrivateKafka::~PrivateKafka()
{
    kill();
}

void PrivateKafka::kill()
{
    pid_t pid = 0;
    if (std::ifstream(directory_.path() + "/kafka/pid") >> pid && pid > 0) {
        ::kill(pid, SIGKILL);
        while (is_running(pid)) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
}

void PrivateKafka::resume()
{
    run("kafka_resume");
}

void PrivateKafka::run(const std::string& function, const std::vector<std::string>& settings)
{
    const std::string functions = std::string(KEYSHIFT_SOURCE_DIR) + "/tests/support/servers.bash";
    std::vector<std::string> command{"/bin/bash", "-c",     ". \"$1\"; shift; \"$@\"",    "bash",
                                     functions,   function, directory_.path() + "/kafka", std::to_string(port_)};
    command.insert(command.end(), settings.begin(), settings.end());
    const Finished done = run_program(command, {}, std::chrono::seconds(120));
    if (done.status != 0) {
        throw std::runtime_error("a private Kafka did not start: " + done.out + done.err);
    }
}

} // namespace keyshift::test
