#include "tests/daemon/installation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace keyshift::test {
namespace {

/// What systemd has: a datagram socket that the service writes its state to (sd_notify(3)).
class NotifySocket {
public:
    explicit NotifySocket(std::string path) : path_(std::move(path))
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            throw std::runtime_error("cannot bind " + path_);
        }
    }
    ~NotifySocket() { ::close(socket_); }
    NotifySocket(const NotifySocket&) = delete;
    NotifySocket& operator=(const NotifySocket&) = delete;

    const std::string& path() const { return path_; }
    /// Reads until a message says `text`. False: it did not come.
    bool hears(const std::string& text)
    {
        return comes_true([&] {
            std::array<char, 512> buffer{};
            for (ssize_t got = 0; (got = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;) {
                heard_.append(buffer.data(), static_cast<std::size_t>(got)).push_back('\n');
            }
            return heard_.find(text) != std::string::npos;
        });
    }
    const std::string& heard() const { return heard_; }

private:
    std::string path_;
    std::string heard_;
    int socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST(Systemd, HearsReadyStatusWatchdogReloadAndStop)
{
    Installation installation;
    installation.set_up();
    NotifySocket systemd(installation.directory().path() + "/notify");
    installation.start_daemon({{"NOTIFY_SOCKET", systemd.path()}});
    EXPECT_TRUE(systemd.hears("READY=1"));
    EXPECT_TRUE(systemd.hears("WATCHDOG=1"));
    EXPECT_TRUE(systemd.hears("STATUS=1 of 1 nodes streaming"));
    installation.daemon().signal(SIGHUP);
    EXPECT_TRUE(systemd.hears("RELOADING=1"));
    EXPECT_EQ(installation.stop_daemon(), 0);
    EXPECT_TRUE(systemd.hears("STOPPING=1"));
    EXPECT_LT(systemd.heard().find("READY=1"), systemd.heard().find("STOPPING=1"));
}

} // namespace
} // namespace keyshift::test
