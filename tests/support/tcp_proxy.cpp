#include "tests/support/tcp_proxy.hpp"

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

struct Pair {
    int client = -1;
    int server = -1;
    bool dead = false; ///< was there while the proxy was frozen
};

void close_pair(const Pair& pair)
{
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

/// False: the pair is over.
bool serve(const Pair& pair, const pollfd* client, const pollfd* server)
{
    return (client->revents == 0 || forward(pair.client, pair.server)) &&
           (server->revents == 0 || forward(pair.server, pair.client));
}

} // namespace

TcpProxy::TcpProxy(int target_port) : target_port_(target_port), listener_(::socket(AF_INET, SOCK_STREAM, 0))
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
        for (std::size_t i = pairs.size(); i-- > 0;) {
            if (!serve(pairs[i], &waits[1 + 2 * i], &waits[2 + 2 * i])) {
                close_pair(pairs[i]);
                pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (waits[0].revents != 0) {
            Pair pair{::accept(listener_, nullptr, nullptr), ::socket(AF_INET, SOCK_STREAM, 0)};
            const sockaddr_in target = local(target_port_);
            static_cast<void>(::connect(pair.server, reinterpret_cast<const sockaddr*>(&target), sizeof target));
            pairs.push_back(pair);
        }
    }
    for (const Pair& pair : pairs) {
        close_pair(pair);
    }
}

} // namespace keyshift::test
