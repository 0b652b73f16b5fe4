#pragma once
/// A connector in the Kafka Connect worker that `./dev test --oracle` starts.

#include "tests/daemon/http_get.hpp"

#include <map>
#include <string>

namespace keyshift::test {

class Connector {
public:
    /// Throws when the worker does not take it. `port`: of the worker (TestServers::oracle_port()).
    Connector(int port, std::string name, const std::map<std::string, std::string>& options);
    ~Connector();
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;

    /// JSON of states, with the trace of what failed.
    std::string status() const { return get("status"); }
    std::string offsets() const { return get("offsets"); }
    bool failed() const { return status().find("FAILED") != std::string::npos; }

private:
    std::string get(const std::string& what) const;

    int port_;
    std::string name_;
};

} // namespace keyshift::test
