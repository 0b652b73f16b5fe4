#pragma once
/// A SELECT as PostgreSQL's own parser (libpg_query) sees it. Pure.

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace keyshift::projections {

/// Throws Error(refused) with the caret under `location`.
[[noreturn]] void refuse_at(const std::string& sql, std::size_t location, const std::string& why,
                            const std::string& next);
/// The tree of the one SELECT that `sql` is. Throws Error(refused).
nlohmann::json parse_select_tree(const std::string& sql);
/// The same statement as PostgreSQL's parser would write it: no comments, one line. Throws Error(refused) where that would
/// mean something else.
std::string canonical(const std::string& sql);
/// The columns that an expression names, each once.
std::vector<std::string> columns_of_expression(const std::string& expression);
/// Byte of the statement's text; 0 where the parser gives none.
std::size_t location_of(const nlohmann::json& node);
/// The first location in a part of the tree.
std::size_t first_location(const nlohmann::json& node);

} // namespace keyshift::projections
