#pragma once
/// An application that asks several nodes for one answer: one after the other, or all at once with a thread a connection.
/// Counts what each answer took. Used by one thread.

#include "core/pg/connection.hpp"
#include "demo/settings.hpp"

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::bench {

struct Question {
    std::string name; ///< of the prepared statement
    std::string sql;
    std::string parameter; ///< $1
};

/// Of one answer.
struct Effort {
    int round_trips = 0; ///< one behind the other; questions that are on their way at the same time count once
    std::set<std::size_t> nodes;
    double buffers = 0; ///< where they are counted
};

class Client {
public:
    enum class Fan { sequential, parallel };

    Client(const demo::Settings& settings, std::size_t nodes, Fan fan);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    std::size_t nodes() const { return workers_.size(); }
    /// Each question to its node, of which none stands twice; answers in the same order.
    std::vector<pg::Result> ask(const std::vector<std::pair<std::size_t, Question>>& questions);
    std::vector<pg::Result> ask_all(const Question& question);

    /// From now on each statement is also run under EXPLAIN (ANALYZE, BUFFERS), which makes its time worthless.
    void count_buffers() { counting_ = true; }
    /// Since the last call.
    Effort take_effort() { return std::exchange(effort_, {}); }

private:
    struct Worker;

    void note_buffers(std::size_t node, const Question& question);

    Fan fan_;
    bool counting_ = false;
    Effort effort_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

} // namespace keyshift::bench
