#pragma once
/// A client: writes users and posts, follows KS001 to the owner, and remembers what was acknowledged.

#include "core/pg/connection.hpp"

#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace keyshift::test {

class Writer {
public:
    /// Between nodes "n1" and "n2".
    using Connect = std::function<pg::Connection(const std::string& node)>;
    Writer(Connect connect, int seed);
    void stop();
    int redirected() const { return redirected_; }
    /// Failures that are no redirection.
    const std::vector<std::string>& errors() const { return errors_; }
    /// The first acknowledged write that the owner of its bucket does not hold with its last value; "": none.
    std::string lost() const;

private:
    void run(std::stop_token stop);
    bool write(std::int64_t user, const std::string& sql, const std::string& text);

    Connect connect_;
    std::mt19937 random_;
    std::int64_t base_;
    std::map<std::string, pg::Connection> connections_;
    std::string tried_ = "n1";
    std::map<std::int64_t, std::string> acknowledged_;
    int count_ = 0;
    int redirected_ = 0;
    std::vector<std::string> errors_;
    std::jthread thread_;
};

} // namespace keyshift::test
