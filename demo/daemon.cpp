#include "demo/program.hpp"

#include "core/backoff.hpp"
#include "demo/http.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace keyshift::demo {

namespace {

using namespace std::chrono_literals;

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
    return http(http_port_, "GET", "/readyz").status == 200;
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

double Daemon::cpu_seconds() const
{
    std::ifstream stat(fmt::format("/proc/{}/stat", pid_));
    std::string line;
    std::getline(stat, line);
    // Behind the name, which may hold spaces: the state is the third value, user and system time are the 14th and 15th.
    std::istringstream values(line.substr(line.rfind(')') + 1));
    std::string skipped;
    for (int value = 3; value < 14; ++value) {
        values >> skipped;
    }
    double user = 0;
    double system = 0;
    values >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double Daemon::metric(const std::string& family) const
{
    std::istringstream lines(http(http_port_, "GET", "/metrics").body);
    double sum = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(family + "{") || line.starts_with(family + " ")) {
            sum += std::stod(line.substr(line.rfind(' ') + 1));
        }
    }
    return sum;
}

} // namespace keyshift::demo
