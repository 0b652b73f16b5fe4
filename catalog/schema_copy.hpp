#pragma once
/// What the definitions of tables stand on, carried from one node to another: extensions, schemas, enum, domain and
/// composite types, functions, sequences. What is there already is left as it is.

#include "core/pg/connection.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// Runs inside the caller's transaction on `to`. Returns what could not be made (a function that needs what is not there).
std::vector<std::string> copy_prerequisites(pg::Connection& from, pg::Connection& to);

} // namespace keyshift::catalog
