#include "tests/daemon/http_get.hpp"

#include <fmt/core.h>

#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace keyshift::test {

HttpReply http_send(int port, const std::string& request)
{
    const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        static_cast<void>(::send(connection, request.data(), request.size(), MSG_NOSIGNAL));
        std::array<char, 8192> buffer{};
        for (ssize_t got = 0; (got = ::recv(connection, buffer.data(), buffer.size(), 0)) > 0;) {
            answer.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }
    ::close(connection);
    HttpReply reply;
    const std::size_t end = answer.find("\r\n\r\n");
    if (answer.starts_with("HTTP/1.1 ") && end != std::string::npos) {
        reply.status = std::atoi(answer.c_str() + 9);
        reply.head = answer.substr(0, end);
        reply.body = answer.substr(end + 4);
    }
    return reply;
}

HttpReply http_get(int port, const std::string& target, const std::string& method, const std::string& host)
{
    return http_send(
        port, fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", method, target, host, port));
}

} // namespace keyshift::test
