#pragma once
/// Parts of a SELECT that no projection can be made of. Pure.

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <string>

namespace keyshift::projections {

/// Throws Error(refused), with the reason and the way out, when nodes of this name have no place in a projection.
void refuse_node(const std::string& sql, const std::string& node, std::size_t location);
/// The same for clauses of one SELECT.
void refuse_unkept_clauses(const std::string& sql, const nlohmann::json& select);

} // namespace keyshift::projections
