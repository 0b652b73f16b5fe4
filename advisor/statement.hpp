#pragma once
/// One statement of the workload as the advice needs it: its tables, and what ties their columns to values and to each other.

#include "advisor/statistics.hpp"
#include "core/names.hpp"

#include <compare>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::advisor {

/// A table in the statement. One that stands there twice is two.
struct TableUse {
    QualifiedName table;
    std::string alias;
    bool written = false;
};

struct UseColumn {
    std::size_t use = 0;
    std::string column;

    auto operator<=>(const UseColumn&) const = default;
};

/// `left = right` or `left = value`, where it must hold for the result.
struct Equality {
    UseColumn left;
    std::optional<UseColumn> right;
    std::string value;       ///< of no `right`: the parameter or constant; equal texts are equal values
    bool several = false;    ///< one of a list of values
    bool binds_left = true;  ///< rows of the left table for which it does not hold make no difference
    bool binds_right = true; ///< those of the right one
};

struct JoinedTable {
    std::size_t use = 0;
    bool left = false;                               ///< LEFT JOIN
    std::vector<std::pair<UseColumn, UseColumn>> on; ///< empty: the first one, or joined in WHERE
};

struct OutputColumn {
    std::string aggregate;           ///< "" of a plain column
    std::optional<UseColumn> column; ///< nullopt: count(*)
};

/// A SELECT, or one of those that UNION ALL puts together, where a definition of a projection can be made of its parts.
struct SelectShape {
    std::vector<JoinedTable> joins;
    std::vector<std::pair<UseColumn, UseColumn>> where; ///< columns equal to columns
    std::vector<OutputColumn> outputs;                  ///< empty: not plain columns and aggregates alone
    std::vector<UseColumn> groups;
    bool grouped = false;
    bool equalities_alone = true; ///< every condition is column = value or column = column
};

struct Statement {
    enum class Kind { select, insert, update, erase };
    Kind kind = Kind::select;
    std::vector<TableUse> uses;
    std::vector<Equality> equalities;
    std::set<UseColumn> columns;      ///< all that are named
    std::set<std::size_t> whole_rows; ///< uses of which all columns are shown
    std::set<UseColumn> assigned;     ///< by UPDATE
    std::vector<SelectShape> shapes;  ///< empty: no definition can be made of it
};

/// What was read of a statement: the statement, or why it says nothing.
struct ReadStatement {
    std::optional<Statement> statement;
    std::string why;   ///< of none
    bool idle = false; ///< it touches no table of users: nothing to advise on
};

/// Parses with PostgreSQL's grammar. What it cannot read is said, never guessed.
ReadStatement read_statement(const std::string& sql, const std::map<QualifiedName, TableStatistics>& tables);

} // namespace keyshift::advisor
