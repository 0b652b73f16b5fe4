#pragma once
/// Count and sum of row hashes of one leaf: equal on donor and recipient before any switch. Sum, not xor: two equal rows
/// must not cancel.

#include "core/pg/connection.hpp"
#include "resharder/bucket_move.hpp"

#include <string>
#include <vector>

namespace keyshift::resharder {

/// "count:sum"; the same on both nodes exactly when the rows are (but for hash collisions).
std::string leaf_hash(pg::Connection& node, const MoveTable& table, const std::string& quoted_leaf);
/// "public.users=10:123 public.posts=..." in the order of the tables; `leaves` are quoted names, one a table.
std::string bucket_hash(pg::Connection& node, const std::vector<MoveTable>& tables, const std::vector<std::string>& leaves);
/// SQL expression of a row's 64-bit hash, columns prefixed with `alias.`.
std::string row_hash_expression(const MoveTable& table, const std::string& alias);

} // namespace keyshift::resharder
