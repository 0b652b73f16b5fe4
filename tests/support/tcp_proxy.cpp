#include "tests/support/tcp_proxy.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace keyshift::test {

namespace {

sockaddr_in local(int port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

/// Not inherited: a program that the test starts would keep the connection open.
int new_socket()
{
    return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

struct Pair {
    int client = -1;
    int server = -1;
    bool dead = false; ///< was there while the proxy was frozen
};

void close_pair(const Pair& pair, bool reset)
{
    const linger at_once{1, 0};
    if (reset) {
        ::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    ::close(pair.client);
    ::close(pair.server);
}

/// False: one side has closed.
bool forward(int from, int to)
{
    std::array<char, 65536> buffer{};
    const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
    ssize_t sent = 0;
    while (sent < got) {
        const ssize_t count = ::send(to, buffer.data() + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
        if (count <= 0) {
            return false;
        }
        sent += count;
    }
    return got > 0;
}

/// -1: the server has closed; else how much was thrown away.
int throw_away(int from)
{
    std::array<char, 65536> buffer{};
    const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
    return got > 0 ? static_cast<int>(got) : -1;
}

} // namespace

TcpProxy::TcpProxy(int target_port) : target_port_(target_port), listener_(new_socket())
{
    sockaddr_in address = local(0);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
        throw std::runtime_error("a TCP proxy found no port");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

TcpProxy::~TcpProxy()
{
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
}

/// False: the pair is over.
bool TcpProxy::serve(int client, int server, int from_client, int from_server)
{
    if (from_client != 0 && !forward(client, server)) {
        return false;
    }
    if (from_server != 0 && deaf_) {
        const int lost = throw_away(server);
        lost_ += std::max(lost, 0);
        return lost >= 0;
    }
    return from_server == 0 || forward(server, client);
}

void TcpProxy::run(std::stop_token stop)
{
    std::vector<Pair> pairs;
    while (!stop.stop_requested()) {
        std::vector<pollfd> waits{{listener_, POLLIN, 0}};
        const bool frozen = frozen_;
        for (Pair& pair : pairs) {
            pair.dead = pair.dead || frozen;
            waits.push_back({pair.dead ? -1 : pair.client, POLLIN, 0});
            waits.push_back({pair.dead ? -1 : pair.server, POLLIN, 0});
        }
        ::poll(waits.data(), waits.size(), 20);
        const bool cut = cut_;
        for (std::size_t i = pairs.size(); i-- > 0;) {
            refused_ += cut ? 1 : 0;
            if (cut || !serve(pairs[i].client, pairs[i].server, waits[1 + 2 * i].revents, waits[2 + 2 * i].revents)) {
                close_pair(pairs[i], resets_);
                ended_ += cut ? 0 : 1;
                pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (waits[0].revents != 0) {
            Pair pair{::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), new_socket()};
            const sockaddr_in target = local(target_port_);
            static_cast<void>(::connect(pair.server, reinterpret_cast<const sockaddr*>(&target), sizeof target));
            pairs.push_back(pair);
        }
    }
    for (const Pair& pair : pairs) {
        close_pair(pair, false);
    }
}

} // namespace keyshift::test
