#include "demo/http.hpp"

#include <fmt/core.h>

#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace keyshift::demo {

HttpAnswer http(int port, const std::string& method, const std::string& path, const std::string& body)
{
    const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        const std::string request = fmt::format(
            "{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            method, path, port, body.size(), body);
        (void)::send(connection, request.data(), request.size(), MSG_NOSIGNAL);
        std::array<char, 8192> buffer{};
        for (ssize_t got = 0; (got = ::recv(connection, buffer.data(), buffer.size(), 0)) > 0;) {
            answer.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }
    ::close(connection);
    const std::size_t space = answer.find(' ');
    const std::size_t head = answer.find("\r\n\r\n");
    if (!answer.starts_with("HTTP/1.") || space == std::string::npos || head == std::string::npos) {
        return {};
    }
    return {std::atoi(answer.c_str() + space + 1), answer.substr(head + 4)};
}

} // namespace keyshift::demo
