#pragma once
/// Who holds locks on leaves: what a move waits for, for back-off and for `reshard explain`.

#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::pg {

struct Blocker {
    std::optional<std::int64_t> pid; ///< nullopt: a prepared transaction
    std::string application;
    std::string user;
    std::string state; ///< "active", "idle in transaction"
    std::string table;
    std::string lock;
    double seconds = 0; ///< age of its transaction; 0 where it is another role's and this one may not see it
    std::string query;  ///< likewise "<insufficient privilege>"

    /// "pid 123 (psql, idle in transaction for 12 s) holds RowExclusiveLock on public.users_b3 on node n1"
    std::string sentence(const std::string& node) const;
};

/// Sessions that hold a lock on one of the tables for longer than `older_than`, oldest first, except those of moves.
/// `writers_only`: leaves out those that only read.
std::vector<Blocker> blockers(Connection& node, const std::vector<QualifiedName>& tables, bool writers_only,
                              std::chrono::milliseconds older_than);

} // namespace keyshift::pg
