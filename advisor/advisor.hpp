#pragma once
/// `keyshift advise`: reads one database and says what to do with it. Changes nothing, needs no catalog.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>

namespace keyshift::advisor {

struct AdviseRequest {
    std::string dsn;                    ///< as the commands will say it
    std::optional<std::string> queries; ///< a file of statements; nullopt: pg_stat_statements
    std::optional<int> nodes;
};

/// {"verdict","workload","tables","fixes","cross_shard","projections","commands"}: docs/interface.md.
nlohmann::json advise(pg::Connection& database, const AdviseRequest& request);

} // namespace keyshift::advisor
