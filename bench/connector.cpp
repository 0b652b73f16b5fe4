#include "bench/connector.hpp"

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "demo/http.hpp"

#include <chrono>
#include <cstdlib>
#include <utility>

namespace keyshift::bench {

namespace {

using namespace std::chrono_literals;

const char* port_text()
{
    return std::getenv("CONNECT_PORT");
}

[[noreturn]] void fail(const std::string& what, const std::string& why)
{
    throw FatalError({what, why, "Read the Kafka Connect worker's log."});
}

/// Until the worker says that it is done: it refuses while it is busy with what it was told before, and its port is open
/// before its paths are there.
void must(int port, const std::string& method, const std::string& path, const std::string& body = {})
{
    demo::HttpAnswer answer;
    for (int tries = 0; tries < 600; ++tries) {
        answer = demo::http(port, method, path, body);
        if (answer.status >= 200 && answer.status < 300) {
            return;
        }
        if (answer.status == 400) {
            break;
        }
        sleep_for(100ms, {});
    }
    fail("asking Kafka Connect: " + method + " " + path, answer.body);
}

} // namespace

bool Connector::worker_present()
{
    return port_text() != nullptr;
}

Connector::Connector(std::string name, const std::map<std::string, std::string>& options)
    : port_(std::atoi(port_text())), name_(std::move(name))
{
    must(port_, "PUT", path("/config"), nlohmann::json(options).dump());
}

Connector::~Connector()
{
    demo::http(port_, "DELETE", path());
}

std::string Connector::status() const
{
    return demo::http(port_, "GET", path("/status")).body;
}

void Connector::stop()
{
    must(port_, "PUT", path("/stop"));
    for (int tries = 0; tries < 600; ++tries) {
        const std::string now = status();
        if (now.find(R"("STOPPED")") != std::string::npos && now.find(R"("tasks":[])") != std::string::npos) {
            return;
        }
        sleep_for(100ms, {});
    }
    fail("stopping connector " + name_, status());
}

void Connector::resume()
{
    must(port_, "PUT", path("/resume"));
}

void Connector::forget_place()
{
    must(port_, "DELETE", path("/offsets"));
}

void Connector::check() const
{
    const std::string now = status();
    if (now.find(R"("FAILED")") != std::string::npos) {
        fail("connector " + name_, now);
    }
}

} // namespace keyshift::bench
