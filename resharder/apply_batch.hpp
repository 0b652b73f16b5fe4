#pragma once
/// Changes of one bucket from one node's stream, as rows of its copy on another. One thread; the caller owns the transaction.

#include "cdc/source/subscription.hpp"
#include "core/pg/connection.hpp"
#include "resharder/change_applier.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace keyshift::resharder {

/// Rows of one statement may pass through each other's unique values (23505); one by one they follow the order they came in.
inline constexpr std::size_t kStatementRows = 2000;

/// `rows_a_statement`: at most. Afterwards the transaction passes the reject triggers of `move`.
void apply_changes(pg::Connection& node, const BucketMove& move, std::vector<ApplyTarget> targets,
                   std::span<const cdc::OwnedTransaction> transactions, std::size_t rows_a_statement);

} // namespace keyshift::resharder
