#pragma once
/// Reads a SELECT over several tables (JOIN, UNION ALL) with PostgreSQL's own grammar, and refuses, with the reason and the
/// caret under the place, what cannot be kept exact. Pure: asks no server, so columns are names that are bound later.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::projections {

/// A column as the SELECT writes it.
struct ColumnReference {
    std::string table; ///< alias; empty: not qualified
    std::string column;
    std::size_t place = 0; ///< byte of the SQL
};

/// A table in FROM. One that stands there twice is two.
struct TableUse {
    std::string schema; ///< as written; empty: not qualified
    std::string table;
    std::string alias; ///< how the SELECT calls it
    std::size_t place = 0;
    bool nullable = false;      ///< a LEFT JOIN may show NULLs in the place of its row
    std::size_t text_place = 0; ///< byte of CompositeSelect::text
    bool named = false;         ///< with its alias there
};

/// `left = right`, in ON, USING or WHERE.
struct Equality {
    ColumnReference left;
    ColumnReference right;
    /// Rows of these tables that do not satisfy it make no difference to the result: numbers of uses, [first, last).
    std::size_t first = 0;
    std::size_t last = 0;
};

struct OutputColumn {
    std::string name;
    ColumnReference source; ///< without a column: an expression
};

/// One SELECT of those that UNION ALL puts together.
struct Branch {
    std::size_t first = 0; ///< its tables: numbers of uses, [first, last)
    std::size_t last = 0;
    std::vector<OutputColumn> columns;
    std::vector<Equality> equalities;
    std::vector<ColumnReference> references; ///< all, anywhere in it
};

/// A sum or an average, whose argument must not be of a floating point type.
struct SummedColumn {
    std::string function;
    ColumnReference column;
};

struct CompositeSelect {
    std::string sql;  ///< as the user wrote it
    std::string text; ///< as PostgreSQL's parser writes it
    std::vector<TableUse> uses;
    std::vector<Branch> branches;
    std::vector<std::pair<std::string, std::size_t>> functions; ///< each that is called, and where first
    std::vector<SummedColumn> sums;
};

/// Whether the statement reads more than one table. Throws Error(refused) when it is no SELECT.
bool is_composite(const std::string& sql);
/// Throws Error(refused).
CompositeSelect parse_composite(const std::string& sql);
/// `text` with these relations, already quoted, in the place of the tables; a use keeps the name the SELECT calls it by.
std::string with_tables(const CompositeSelect& select, const std::vector<std::string>& relations);

} // namespace keyshift::projections
