#pragma once
/// Count and sum of row hashes of one leaf: equal on donor and recipient before any switch. Sum, not xor: two equal rows
/// must not cancel; and a sum can be corrected for the rows that changed since it was taken.

#include "core/pg/connection.hpp"
#include "resharder/bucket_move.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace keyshift::resharder {

struct RowSum {
    std::int64_t rows = 0;
    __extension__ __int128 hash = 0; ///< of at most 2^63 hashes of 64 bits

    RowSum operator+(const RowSum& other) const { return {rows + other.rows, hash + other.hash}; }
    RowSum operator-(const RowSum& other) const { return {rows - other.rows, hash - other.hash}; }
    /// "rows:hash" in decimal.
    std::string to_string() const;
};

/// Primary keys as text, columns in key order.
using KeySet = std::set<std::vector<std::string>>;

/// All rows of a leaf.
RowSum leaf_sum(pg::Connection& node, const MoveTable& table, const std::string& quoted_leaf);
/// Those of its rows whose key is in the set.
RowSum rows_sum(pg::Connection& node, const MoveTable& table, const std::string& quoted_leaf, const KeySet& keys);

/// "public.users=10:123 public.posts=..." in the order of the tables.
std::string describe(const std::vector<MoveTable>& tables, const std::vector<RowSum>& sums);
/// leaf_sum of each table, described; `leaves` are quoted names, one a table.
std::string bucket_hash(pg::Connection& node, const std::vector<MoveTable>& tables,
                        const std::vector<std::string>& leaves);

} // namespace keyshift::resharder
