#pragma once
/// What the planner is told of a node.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct NodeOptions {
    std::string node;
    std::optional<double> capacity;         ///< its share beside the others'
    std::optional<std::int64_t> disk_limit; ///< what its database may grow to; 0: not known
    std::vector<std::string> pin;           ///< "users/17": this bucket is kept here
    std::vector<std::string> unpin;
    bool dry_run = false;
};

/// What is not given stays as it was. {"node","capacity","disk_limit","pins","dry_run"}
nlohmann::json set_node_options(pg::Connection& catalog, const NodeOptions& request);

/// The same of a node as it is.
nlohmann::json node_options(pg::Connection& catalog, const std::string& node);

} // namespace keyshift::catalog
