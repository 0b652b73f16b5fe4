#pragma once
/// Which table a name in a statement means: FROM items of the present SELECT, then those of the SELECTs around it.

#include "advisor/statement.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keyshift::advisor {

struct NameScope {
    const NameScope* outer = nullptr;
    std::vector<std::size_t> uses;      ///< tables in FROM
    std::set<std::string> derived;      ///< aliases of sub-selects, functions and WITH: their columns are of no table
    std::set<std::string> with_queries; ///< names that WITH gives here

    bool is_with_query(const std::string& name) const;
};

using Tables = std::map<QualifiedName, TableStatistics>;

/// The table of a RangeVar: as written, in schema public, or the only one of this name. nullopt: none or several.
std::optional<QualifiedName> find_table(const Tables& tables, const nlohmann::json& range);
/// A ColumnRef's column; nullopt: not of a table, or not certain.
std::optional<UseColumn> find_column(const Tables& tables, const std::vector<TableUse>& uses, const NameScope& scope,
                                     const nlohmann::json& reference);
/// The one use among `among` that has such a column.
std::optional<UseColumn> only_with_column(const Tables& tables, const std::vector<TableUse>& uses,
                                          const std::vector<std::size_t>& among, const std::string& column);

} // namespace keyshift::advisor
