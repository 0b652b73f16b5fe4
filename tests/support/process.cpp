#include "tests/support/process.hpp"

#include "core/backoff.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

std::string temporary_file()
{
    std::string name = "/tmp/keyshift-test-output.XXXXXX";
    ::close(::mkstemp(name.data()));
    return name;
}

std::string content(const std::string& file)
{
    std::ifstream in(file);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

pid_t start(const std::vector<std::string>& arguments, const Environment& environment, const std::string& out,
            const std::string& err)
{
    std::vector<std::string> variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string variable = *entry;
        if (!environment.contains(variable.substr(0, variable.find('=')))) {
            variables.push_back(variable);
        }
    }
    for (const auto& [name, value] : environment) {
        variables.push_back(name + "=" + value);
    }
    std::vector<char*> raw_arguments;
    std::vector<char*> raw_variables;
    for (const std::string& argument : arguments) {
        raw_arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    for (std::string& variable : variables) {
        raw_variables.push_back(variable.data());
    }
    raw_arguments.push_back(nullptr);
    raw_variables.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
        ::dup2(::open(out.c_str(), O_WRONLY | O_APPEND), STDOUT_FILENO);
        ::dup2(::open(err.c_str(), O_WRONLY | O_APPEND), STDERR_FILENO);
        ::execve(raw_arguments[0], raw_arguments.data(), raw_variables.data());
        ::_exit(127);
    }
    return child;
}

/// Exit status of a child that has ended; -1 while it runs.
int reap(pid_t child)
{
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) != child) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

Finished run_program(const std::vector<std::string>& arguments, const Environment& environment,
                     std::chrono::seconds limit)
{
    const std::string out = temporary_file();
    const std::string err = temporary_file();
    const pid_t child = start(arguments, environment, out, err);
    const auto end = std::chrono::steady_clock::now() + limit;
    Finished finished;
    while ((finished.status = reap(child)) < 0) {
        if (std::chrono::steady_clock::now() > end) {
            ::kill(child, SIGKILL);
        }
        sleep_for(5ms, {});
    }
    finished.out = content(out);
    finished.err = content(err);
    std::filesystem::remove(out);
    std::filesystem::remove(err);
    return finished;
}

BackgroundProgram::BackgroundProgram(const std::vector<std::string>& arguments, const Environment& environment)
    : file_(temporary_file())
{
    pid_ = start(arguments, environment, file_, file_);
}

BackgroundProgram::~BackgroundProgram()
{
    kill();
    std::filesystem::remove(file_);
}

bool BackgroundProgram::running()
{
    if (status_ < 0) {
        status_ = reap(pid_);
    }
    return status_ < 0;
}

void BackgroundProgram::signal(int number) const
{
    ::kill(pid_, number);
}

int BackgroundProgram::wait(std::chrono::milliseconds limit)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (running() && std::chrono::steady_clock::now() < end) {
        sleep_for(10ms, {});
    }
    return status_;
}

void BackgroundProgram::kill()
{
    if (running()) {
        signal(SIGKILL);
        wait();
    }
}

std::string BackgroundProgram::output() const
{
    return content(file_);
}

bool BackgroundProgram::wait_for_output(const std::string& text, std::chrono::milliseconds limit)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
        const bool alive = running();
        if (output().find(text) != std::string::npos) {
            return true;
        }
        if (!alive) {
            return false;
        }
        sleep_for(20ms, {});
    }
    return false;
}

std::string keyshift_binary()
{
    const char* binary = std::getenv("KEYSHIFT_BINARY");
    if (binary == nullptr) {
        throw std::runtime_error("KEYSHIFT_BINARY is not set: run this test through ctest");
    }
    return binary;
}

int free_port()
{
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    ::close(listener);
    return ntohs(address.sin_port);
}

TemporaryDirectory::TemporaryDirectory()
{
    std::string name = "/tmp/keyshift-test.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::runtime_error("no temporary directory: " + std::string(std::strerror(errno)));
    }
    path_ = name;
    ::chmod(path_.c_str(), 0755);
}

TemporaryDirectory::~TemporaryDirectory()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::write(const std::string& name, const std::string& text) const
{
    const std::string file = path_ + "/" + name;
    std::ofstream(file) << text;
    return file;
}

} // namespace keyshift::test
