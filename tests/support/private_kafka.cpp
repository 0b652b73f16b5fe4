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

PrivateKafka::PrivateKafka() : port_(free_port())
{
    run("kafka_start");
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

void PrivateKafka::run(const std::string& function)
{
    const std::string functions = std::string(KEYSHIFT_SOURCE_DIR) + "/tests/support/servers.bash";
    const Finished done = run_program({"/bin/bash", "-c", ". \"$1\"; \"$2\" \"$3\" \"$4\"", "bash", functions, function,
                                       directory_.path() + "/kafka", std::to_string(port_)},
                                      {}, std::chrono::seconds(120));
    if (done.status != 0) {
        throw std::runtime_error("a private Kafka did not start: " + done.out + done.err);
    }
}

} // namespace keyshift::test
