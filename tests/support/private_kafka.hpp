#pragma once
/// A broker that belongs to one test, which may kill and restart it.

#include "tests/support/process.hpp"

#include "core/kafka/client.hpp"

#include <string>
#include <vector>

namespace keyshift::test {

class PrivateKafka {
public:
    /// `settings` are lines of server.properties.
    explicit PrivateKafka(const std::vector<std::string>& settings = {});
    ~PrivateKafka();
    PrivateKafka(const PrivateKafka&) = delete;
    PrivateKafka& operator=(const PrivateKafka&) = delete;

    kafka::Settings settings() const { return {{"bootstrap.servers", "127.0.0.1:" + std::to_string(port_)}}; }
    void kill();
    /// With the data it had.
    void resume();

private:
    void run(const std::string& function, const std::vector<std::string>& settings = {});

    TemporaryDirectory directory_;
    int port_;
};

} // namespace keyshift::test
