#pragma once
/// A DDL statement for a distributed table, on all its nodes.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace keyshift::catalog {

struct Ddl {
    std::string statement; ///< empty: only finish what a command before left
    bool finish = false;   ///< also an interrupted TRUNCATE
    bool dry_run = false;
    std::chrono::milliseconds patience{30'000}; ///< for locks
    /// Asked while it waits, with what for; false ends it. Without one it does not wait for moves.
    std::function<bool(const std::string& waits_for)> keep_waiting = {};
};

/// All nodes have it, or none; where a node fails between two commits, or the command is killed, the next one finishes it
/// or takes it back and says where it was done. {"statement","nodes","state","finished_before"}
nlohmann::json ddl(pg::Connection& catalog, const Ddl& request);

} // namespace keyshift::catalog
