#pragma once
/// A SELECT with groups becomes a definition: what its table keeps of each base row, and what is made of each group.

#include "projections/definition.hpp"
#include "projections/projections.hpp"
#include "projections/select_parser.hpp"

#include "core/pg/connection.hpp"

#include <string>
#include <vector>

namespace keyshift::projections {

/// The SELECT of the rows behind the groups: every column that the user's names outside of WHERE, under its own name, and each
/// key that is an expression.
ParsedSelect rows_of_groups(const CreateRequest& request, const ParsedSelect& select);
/// What rows_of_groups calls the key that was asked for. Throws Error(refused).
std::vector<std::string> base_key(const CreateRequest& request, const ParsedSelect& select);
/// `rows`: the definition made of rows_of_groups. PostgreSQL tells types and what is not immutable. Throws Error(refused).
Aggregation define_aggregation(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                               const Definition& rows);

} // namespace keyshift::projections
