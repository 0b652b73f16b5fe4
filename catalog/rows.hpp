#pragma once
/// PostgreSQL arrays of text as C++ vectors, both ways, in the text format.

#include <string>
#include <string_view>
#include <vector>

namespace keyshift::catalog {

/// Reads a one-dimensional array: {a,"b c",NULL}; NULL becomes "".
std::vector<std::string> read_array(std::string_view text);
/// Every element quoted.
std::string write_array(const std::vector<std::string>& elements);
/// "a, b, c".
std::string join(const std::vector<std::string>& elements, std::string_view between = ", ");
/// Quoted identifiers, comma separated.
std::string quoted_list(const std::vector<std::string>& names);

} // namespace keyshift::catalog
