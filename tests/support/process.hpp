#pragma once
/// Programs that a test runs: short ones to their end, and daemons in the background.

#include <chrono>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace keyshift::test {

using Environment = std::map<std::string, std::string>;

struct Finished {
    int status = 0; ///< exit status, or 128 + the signal that ended it
    std::string out;
    std::string err;
};

/// Runs to the end (killed after `limit`, status 137).
Finished run_program(const std::vector<std::string>& arguments, const Environment& environment = {},
                     std::chrono::seconds limit = std::chrono::seconds(60));

/// A program in the background, its stdout and stderr in one file; killed when it goes out of scope.
class BackgroundProgram {
public:
    BackgroundProgram(const std::vector<std::string>& arguments, const Environment& environment = {});
    ~BackgroundProgram();
    BackgroundProgram(const BackgroundProgram&) = delete;
    BackgroundProgram& operator=(const BackgroundProgram&) = delete;

    pid_t pid() const { return pid_; }
    bool running();
    void signal(int number) const;
    /// Waits for its end; 128 + signal when a signal ended it; -1: it still runs after `limit`.
    int wait(std::chrono::milliseconds limit = std::chrono::seconds(30));
    /// SIGKILL and wait.
    void kill();
    /// What it has printed so far.
    std::string output() const;
    /// Waits until it has printed `text`. False: it ended or `limit` passed.
    bool wait_for_output(const std::string& text, std::chrono::milliseconds limit = std::chrono::seconds(30));

private:
    pid_t pid_ = -1;
    int status_ = -1;
    std::string file_;
};

/// $KEYSHIFT_BINARY: the program keyshift of this build.
std::string keyshift_binary();
/// A TCP port of 127.0.0.1 that nobody listens on now.
int free_port();
/// A directory of its own below /tmp; removed when it goes out of scope.
class TemporaryDirectory {
public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::string& path() const { return path_; }
    /// Writes a file into it and gives its path.
    std::string write(const std::string& name, const std::string& content) const;

private:
    std::string path_;
};

} // namespace keyshift::test
