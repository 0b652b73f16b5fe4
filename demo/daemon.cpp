#include "demo/program.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keyshift::demo {

namespace {

using namespace std::chrono_literals;

/// One GET of 127.0.0.1:port; the whole answer, empty when nobody answers.
std::string http_get(int port, const std::string& path)
{
    const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        const std::string request =
            fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", path, port);
        (void)::send(connection, request.data(), request.size(), MSG_NOSIGNAL);
        std::array<char, 8192> buffer{};
        for (ssize_t got = 0; (got = ::recv(connection, buffer.data(), buffer.size(), 0)) > 0;) {
            answer.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }
    ::close(connection);
    return answer;
}

} // namespace

Daemon::Daemon(const Settings& settings, int http_port) : settings_(settings), http_port_(http_port) {}

Daemon::~Daemon()
{
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

void Daemon::start()
{
    const std::string log = settings_.directory + "/daemon.log";
    pid_ = ::fork();
    if (pid_ == 0) {
        const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        ::dup2(file, STDOUT_FILENO);
        ::dup2(file, STDERR_FILENO);
        const std::string config = settings_.config_file();
        ::execl(settings_.binary.c_str(), settings_.binary.c_str(), "--config", config.c_str(), "run", nullptr);
        ::_exit(127);
    }
    for (int tries = 0; tries < 300; ++tries) {
        if (ready()) {
            return;
        }
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            break;
        }
        sleep_for(100ms, {});
    }
    throw FatalError({"keyshift run", "it did not become ready within 30 s", "Read " + log + "."});
}

bool Daemon::ready() const
{
    return http_get(http_port_, "/readyz").starts_with("HTTP/1.1 200");
}

void Daemon::note_memory() const
{
    std::ifstream status(fmt::format("/proc/{}/status", pid_));
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM:")) {
            peak_memory_ = std::max(peak_memory_, std::stoll(line.substr(6)) * 1024);
        }
    }
}

void Daemon::kill()
{
    note_memory();
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

bool Daemon::stop()
{
    note_memory();
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

long long Daemon::peak_memory() const
{
    note_memory();
    return peak_memory_;
}

double Daemon::metric(const std::string& family) const
{
    std::istringstream lines(http_get(http_port_, "/metrics"));
    double sum = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(family + "{") || line.starts_with(family + " ")) {
            sum += std::stod(line.substr(line.rfind(' ') + 1));
        }
    }
    return sum;
}

} // namespace keyshift::demo
