#pragma once
/// SQL as PostgreSQL's own parser reads it (libpg_query), as JSON.

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace keyshift::catalog {

/// The tree of one statement; "stmt" of the parser's output. Throws RefusedError with the place when it is no SQL or more
/// than one statement. `what`: what is refused.
nlohmann::json parse_statement(const std::string& sql, const std::string& what);

/// The line with the place under it marked: two lines, indented.
std::string marked(const std::string& sql, std::size_t place);

} // namespace keyshift::catalog
