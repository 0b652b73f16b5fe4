#pragma once
/// What the joins of a SELECT make equal. Pure.

#include "advisor/statement.hpp"

#include <set>
#include <utility>
#include <vector>

namespace keyshift::advisor {

using ColumnPairs = std::vector<std::pair<UseColumn, UseColumn>>;

/// Columns that the joins make equal to the key, which is one of them: rows of their tables lie where the key's do. `where`:
/// equal columns in WHERE.
std::set<UseColumn> equal_to_key(const UseColumn& key, const std::vector<JoinedTable>& joins, const ColumnPairs& where);
/// Of two columns of one name that a JOIN makes equal one is shown; the key always.
void leave_twins_out(const std::vector<JoinedTable>& joins, const UseColumn& key, std::set<UseColumn>& columns);

} // namespace keyshift::advisor
