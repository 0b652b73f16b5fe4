#pragma once
/// The SQL of bulk apply, and array literals for it. Pure.

#include "cdc/source/change.hpp"
#include "resharder/bucket_move.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::resharder {

/// INSERT, UPDATE or DELETE of any number of rows: $1.. are text arrays, first the columns `by`, then `set`
/// (indexes into table.columns).
std::string apply_statement(cdc::ChangeKind kind, const std::string& quoted_table, const MoveTable& table,
                            const std::vector<std::size_t>& by, const std::vector<std::size_t>& set);

/// Appends one element to a text array literal that begins with "{" and lacks its "}".
void append_element(std::string& array, const std::optional<std::string>& value);

} // namespace keyshift::resharder
