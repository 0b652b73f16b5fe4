#pragma once
/// A TCP proxy on 127.0.0.1 that can stop forwarding while every connection stays open: what a client sees of a firewall that
/// has forgotten it, or of a host that has lost power.

#include <atomic>
#include <thread>

namespace keyshift::test {

class TcpProxy {
public:
    explicit TcpProxy(int target_port);
    ~TcpProxy();
    TcpProxy(const TcpProxy&) = delete;
    TcpProxy& operator=(const TcpProxy&) = delete;

    int port() const { return port_; }
    /// While frozen nothing is forwarded, in either direction; new connections are accepted and stay silent. Those of before
    /// never come to life again.
    void freeze() { frozen_ = true; }
    void thaw() { frozen_ = false; }

private:
    void run(std::stop_token stop);

    const int target_port_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> frozen_ = false;
    std::jthread thread_;
};

} // namespace keyshift::test
