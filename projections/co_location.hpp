#pragma once
/// Which tables of a SELECT need no more rows on a node than those of the node's own keys, and which are needed whole. Pure.

#include "projections/composite_select.hpp"

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keyshift::projections {

/// A column bound to a table.
struct BoundColumn {
    std::size_t use = 0;
    std::string column;
    bool operator==(const BoundColumn&) const = default;
};

/// The columns of every use, in its order.
using UseColumns = std::vector<std::set<std::string>>;

/// The first table of the branch that has it; an alias names one. nullopt: none has it.
std::optional<BoundColumn> bind_column(const CompositeSelect& select, const Branch& branch, const UseColumns& columns,
                                       const ColumnReference& reference);

/// For each use the columns that equal the projection's key in every row of the result, in the key's order. Empty: some part of the
/// key has none, so the table is needed whole. `key`: of the branch, bound.
///
/// By induction over the equalities: a row of the result has key K; a table joined by `b = x.a`, where x.a is K in it, adds
/// only rows with b = K to it. Under a LEFT JOIN that holds for the right side only: rows of the left side are shown also
/// where its condition fails.
std::vector<std::vector<std::string>> keyed_columns(const CompositeSelect& select, const Branch& branch,
                                                    const UseColumns& columns, const std::vector<BoundColumn>& key);

/// Columns of the use that other tables are joined by, once: what its rows are looked up by.
std::vector<std::string> joined_by(const CompositeSelect& select, const Branch& branch, const UseColumns& columns,
                                   std::size_t use);

} // namespace keyshift::projections
