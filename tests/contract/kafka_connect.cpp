#include "tests/contract/kafka_connect.hpp"

#include "core/json.hpp"
#include "tests/daemon/installation.hpp"

#include <fmt/core.h>

#include <stdexcept>
#include <utility>

namespace keyshift::test {

namespace {

HttpReply request(int port, const std::string& method, const std::string& target, const std::string& body = {})
{
    return http_send(port, fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: "
                                       "application/json\r\nContent-Length: {}\r\n\r\n{}",
                                       method, target, port, body.size(), body));
}

} // namespace

Connector::Connector(int port, std::string name, const std::map<std::string, std::string>& options)
    : port_(port), name_(std::move(name))
{
    // Its port is open before its paths are there.
    HttpReply made;
    comes_true(
        [&] {
            made = request(port_, "PUT", fmt::format("/connectors/{}/config", name_), nlohmann::json(options).dump());
            return made.status != 404;
        },
        60);
    if (made.status != 201 && made.status != 200) {
        throw std::runtime_error(fmt::format("Kafka Connect answers {}: {}", made.status, made.body));
    }
}

Connector::~Connector()
{
    request(port_, "DELETE", "/connectors/" + name_);
}

std::string Connector::get(const std::string& what) const
{
    return request(port_, "GET", fmt::format("/connectors/{}/{}", name_, what)).body;
}

} // namespace keyshift::test
