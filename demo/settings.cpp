#include "demo/settings.hpp"

#include <fmt/core.h>

#include <arpa/inet.h>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace keyshift::demo {

namespace {

std::string required(const char* name)
{
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') {
        throw Error(ErrorKind::usage, {"starting the demo", fmt::format("{} is not set", name),
                                       "Run `./dev demo`, which starts the servers and sets it."});
    }
    return value;
}

} // namespace

const Server& Settings::server(const std::string& name) const
{
    for (const Server& server : servers) {
        if (server.name == name) {
            return server;
        }
    }
    throw std::logic_error("no server " + name);
}

std::string Settings::dsn(const std::string& node) const
{
    return fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", server(node).port, database);
}

pg::ConnectionSettings Settings::connection(const std::string& node, std::string purpose) const
{
    return {node, dsn(node), "", std::move(purpose)};
}

Settings settings_from_environment(const std::string& directory)
{
    Settings settings;
    settings.directory = directory;
    settings.binary = required("KEYSHIFT_BINARY");
    settings.bootstrap_servers = required("KAFKA");
    constexpr int kAtLeast = 3;
    for (int number = 1;; ++number) {
        const std::string port = fmt::format("PG{}_PORT", number);
        if (number > kAtLeast && std::getenv(port.c_str()) == nullptr) {
            break;
        }
        settings.servers.push_back({fmt::format("n{}", number), std::stoi(required(port.c_str()))});
    }
    return settings;
}

void write_config(const Settings& settings, int http_port)
{
    std::ofstream file(settings.config_file());
    file << fmt::format(R"([catalog]
dsn = "{}"

[kafka]
"bootstrap.servers" = "{}"

[cdc]
topic_prefix = "{}"

[reshard]
grace = "{}"

[http]
listen = "127.0.0.1:{}"

[log]
level = "info"
)",
                        settings.dsn("n1"), settings.bootstrap_servers, settings.prefix, settings.grace, http_port);
}

int free_port()
{
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    const bool bound = ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                       ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0;
    ::close(listener);
    if (!bound) {
        throw FatalError({"finding a free port", "bind to 127.0.0.1 failed", "Check the machine's network settings."});
    }
    return ntohs(address.sin_port);
}

} // namespace keyshift::demo
