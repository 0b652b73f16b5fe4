#pragma once
/// What the planner needs to know, read from the catalog and the nodes.

#include "core/pg/connection.hpp"
#include "resharder/commands/move_cost.hpp"
#include "resharder/planner.hpp"

#include <chrono>
#include <map>
#include <string>

namespace keyshift::resharder {

/// Connects to every node that owns a bucket (sizes, row estimates). `sample`: looks twice, so far apart, at how many rows
/// were written to each bucket; 0: their load is not read.
ClusterFacts read_cluster(pg::Connection& catalog, std::chrono::milliseconds sample = {});

/// What the newest moves of the cluster took.
MoveCost read_cost(pg::Connection& catalog);

/// Connections to nodes by name, made when first asked for; names those that cannot be reached.
class NodeConnections {
public:
    NodeConnections(pg::Connection& catalog, std::string purpose) : catalog_(catalog), purpose_(std::move(purpose)) {}
    pg::Connection& to(const std::string& node);

private:
    pg::Connection& catalog_;
    std::string purpose_;
    std::map<std::string, pg::Connection> open_;
};

} // namespace keyshift::resharder
