#pragma once
/// Reads a definition's SELECT with PostgreSQL's own grammar (libpg_query) and refuses, with the reason and the caret
/// under the place, what cannot be kept exact. Pure: asks no server.

#include "core/names.hpp"
#include "projections/aggregate_select.hpp"
#include "projections/sql_text.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::projections {

struct SelectedColumn {
    std::string name;        ///< in the projection
    std::string base_column; ///< empty: an expression
};

struct ParsedSelect {
    std::string sql;    ///< as the user wrote it
    std::string schema; ///< as written; empty: not qualified
    std::string table;
    std::string alias;                    ///< how the SELECT calls the table
    std::string select_list;              ///< as PostgreSQL's parser writes it
    std::vector<std::string> expressions; ///< of the select list, without their names
    std::string condition;                ///< of WHERE; empty: none
    std::vector<SelectedColumn> columns;
    std::vector<std::string> used_columns;            ///< every base column named anywhere, once
    std::vector<std::string> shown_columns;           ///< of them those named outside of WHERE
    std::string text;                                 ///< the whole, as PostgreSQL's parser writes it
    std::optional<ParsedAggregation> aggregation;     ///< of a SELECT with groups
    std::size_t table_place = 0;                      ///< byte of `sql`
    std::map<std::string, std::size_t> column_places; ///< where each used column is named first
};

/// Throws Error(refused).
ParsedSelect parse_select(const std::string& sql);

} // namespace keyshift::projections
