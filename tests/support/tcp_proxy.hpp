#pragma once
/// A TCP proxy on 127.0.0.1 that can stop forwarding while every connection stays open: what a client sees of a firewall that
/// has forgotten it, or of a host that has lost power; or break every connection and take no new one.

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
    /// From now on what a server answers is lost; what it is told still arrives. Until the next cut is mended.
    void lose_answers() { deaf_ = true; }
    /// Bytes of answers lost so far.
    int lost() const { return lost_; }
    /// While cut every connection is closed, those of before and each new one.
    void cut() { cut_ = true; }
    void mend() { cut_ = deaf_ = false; }
    /// Whatever connection ends is reset on the client's side, behind all that the server has said: what a client sees whose
    /// keepalive reaches a host that has forgotten it.
    void reset_clients() { resets_ = true; }
    /// Connections that the server has ended, so far.
    int ended() const { return ended_; }
    /// Connections closed because of cuts, so far.
    int refused() const { return refused_; }

private:
    void run(std::stop_token stop);
    bool serve(int client, int server, int from_client, int from_server);

    const int target_port_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> frozen_ = false;
    std::atomic<bool> cut_ = false;
    std::atomic<bool> deaf_ = false;
    std::atomic<int> lost_ = 0;
    std::atomic<bool> resets_ = false;
    std::atomic<int> ended_ = 0;
    std::atomic<int> refused_ = 0;
    std::jthread thread_;
};

} // namespace keyshift::test
