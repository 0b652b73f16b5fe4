#pragma once
/// What is read through the views of projections, carried to a node that joins: the views, those that they read, and the tables
/// that every node has whole, still empty. The distributed tables below them are there already.

#include "core/pg/connection.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// Runs inside the caller's transaction on `to`. Returns warnings.
std::vector<std::string> copy_projection_views(pg::Connection& from, pg::Connection& to);

} // namespace keyshift::catalog
