#pragma once
/// Columns of a bucket's leaves, as they must be on both ends of a move: what the recipient lacks would be left behind unseen.

#include "resharder/move_context.hpp"

#include <string>
#include <vector>

namespace keyshift::resharder {

/// A line for each table, in any order of the columns; "" where there is no such leaf.
std::vector<std::string> leaf_columns(pg::Connection& node, const std::vector<MoveTable>& tables);

/// Throws RefusedError where the two ends differ.
void refuse_other_columns(const MoveContext& context, const std::vector<std::string>& donor,
                          const std::vector<std::string>& recipient);

} // namespace keyshift::resharder
