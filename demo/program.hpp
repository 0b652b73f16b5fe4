#pragma once
/// The program keyshift as a user runs it: short commands, and the daemon in the background.

#include "demo/settings.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <sys/types.h>
#include <vector>

namespace keyshift::demo {

struct Output {
    int status = 0;   ///< exit status; 128 + signal when killed
    std::string text; ///< stdout
};

class Program {
public:
    explicit Program(const Settings& settings) : settings_(settings) {}

    /// Shows the command, runs it, shows what it prints (stderr goes straight to the terminal). Throws FatalError when
    /// it exits otherwise than `expected`.
    Output run(const std::vector<std::string>& arguments, int expected = 0) const;
    /// Runs quietly with `-o json` and reads what it prints.
    nlohmann::json json(std::vector<std::string> arguments, int expected = 0) const;

private:
    Output capture(const std::vector<std::string>& arguments) const;

    const Settings& settings_;
};

/// `keyshift run` as a child process; killed when it goes out of scope.
class Daemon {
public:
    Daemon(const Settings& settings, int http_port);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Starts it, and waits until it says that it is ready.
    void start();
    bool running() const { return pid_ > 0; }
    /// SIGKILL, as the kernel's out-of-memory killer would do it.
    void kill();
    /// SIGTERM; true when it ended by itself with status 0.
    bool stop();
    /// Peak resident memory of all runs, in bytes.
    long long peak_memory() const;
    /// Of processor time that the running process has used, all threads together.
    double cpu_seconds() const;
    /// The sum of a metric family over its series; 0 when there are none.
    double metric(const std::string& family) const;

private:
    bool ready() const;
    void note_memory() const;

    const Settings& settings_;
    int http_port_;
    pid_t pid_ = -1;
    mutable long long peak_memory_ = 0;
};

} // namespace keyshift::demo
