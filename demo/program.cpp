#include "demo/program.hpp"

#include "core/json.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keyshift::demo {

namespace {

/// Starts `arguments` with stdout on `output`; stderr is inherited.
pid_t spawn(const std::vector<std::string>& arguments, int output)
{
    std::vector<char*> raw;
    for (const std::string& argument : arguments) {
        raw.push_back(const_cast<char*>(argument.c_str()));
    }
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    pid_t child = -1;
    const int failed = posix_spawn(&child, raw[0], &actions, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        throw FatalError({"starting " + arguments[0], std::string(strerror(failed)), "Build it with `./dev build`."});
    }
    return child;
}

int wait_status(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string shown(const std::vector<std::string>& arguments)
{
    std::string line;
    for (const std::string& argument : arguments) {
        const bool plain = argument.find_first_of(" '\"*$") == std::string::npos;
        line += (line.empty() ? "" : " ") + (plain ? argument : "'" + argument + "'");
    }
    return line;
}

void check(const std::vector<std::string>& arguments, const Output& output, int expected)
{
    if (output.status != expected) {
        throw FatalError({"keyshift " + shown(arguments),
                          fmt::format("exit status {}, not {}", output.status, expected),
                          "Read what it printed above and in daemon.log."});
    }
}

} // namespace

Output Program::capture(const std::vector<std::string>& arguments) const
{
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw FatalError({"starting keyshift", "no pipe", "Close some files and try again."});
    }
    std::vector<std::string> all{settings_.binary, "--config", settings_.config_file()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const pid_t child = spawn(all, ends[1]);
    ::close(ends[1]);
    Output output;
    std::array<char, 4096> buffer{};
    for (ssize_t got = 0; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
        output.text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    output.status = wait_status(child);
    return output;
}

Output Program::run(const std::vector<std::string>& arguments, int expected) const
{
    command_line(shown(arguments));
    Output output = capture(arguments);
    for (std::size_t begin = 0; begin < output.text.size();) {
        const std::size_t end = std::min(output.text.find('\n', begin), output.text.size());
        say("    " + output.text.substr(begin, end - begin));
        begin = end + 1;
    }
    check(arguments, output, expected);
    return output;
}

nlohmann::json Program::json(std::vector<std::string> arguments, int expected) const
{
    arguments.insert(arguments.end(), {"-o", "json"});
    const Output output = capture(arguments);
    check(arguments, output, expected);
    return nlohmann::json::parse(output.text);
}

} // namespace keyshift::demo
