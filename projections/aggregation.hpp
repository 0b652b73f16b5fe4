#pragma once
/// A projection with GROUP BY: its table (Definition::table) keeps one row per base row, as a re-key does, and a second one
/// keeps the totals of each group, changed in the same statement. What totals cannot hold is computed from the group's rows,
/// which are on the same node, when it is read. Pure: SQL text, nothing that asks a server.

#include "core/names.hpp"
#include "projections/aggregate_select.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace keyshift::projections {

struct Definition;

/// How an aggregate is kept.
enum class MeasureKind {
    count,     ///< a number
    sum,       ///< a sum and how many values are in it
    average,   ///< the same
    every_row, ///< bool_and: how many values, and how many are true
    any_row,   ///< bool_or: the same
    when_read, ///< from the group's rows
};

struct Measure {
    MeasureKind kind = MeasureKind::count;
    std::string call;     ///< as written
    std::string argument; ///< SQL over the base row; empty: the row itself
    std::string filter;   ///< SQL; empty: none
    std::string type;     ///< of the result
    bool numeric = false; ///< its values may be NaN or infinite, which no subtraction takes back
};
struct GroupColumn {
    std::string sql;
    std::string base_column; ///< empty: an expression
    std::string type;
    bool may_be_null = true;
};
struct ShownColumn {
    std::string name;
    std::string type;
    GroupExpression sql;
};

struct Aggregation {
    std::vector<std::string> key; ///< as the view shows it; Definition::key has the base columns' names
    std::vector<GroupColumn> group;
    std::vector<Measure> measures;
    std::vector<ShownColumn> shown;
    GroupExpression having; ///< empty: none
};

nlohmann::json to_json(const Aggregation& aggregation);
Aggregation aggregation_from_json(const nlohmann::json& json);

/// A column of the table of totals.
struct TotalColumn {
    std::string name;
    std::string type;
    /// Over rows of Definition::table and their _sign, which is 1 for one that came and -1 for one that went.
    std::string sum;
    bool group = false;
};
/// "_g1" ... of the groups, "_n" for how many rows are in one, then what the measures need.
std::vector<TotalColumn> total_columns(const Aggregation& aggregation);
/// Those of the projection's key, in its order.
std::vector<std::string> total_key(const Definition& definition);

/// The SELECT of the view: groups that have rows, and HAVING. The columns are those of the user's SELECT.
std::string groups_query(const Definition& definition);
/// How Definition::table is written: `first` is an INSERT from ks_change that leaves what is there alone, `rest` one from ks_rest
/// that lets the newest win.
struct UpsertParts {
    std::string first;
    std::string rest;
};
/// Both as one statement that keeps the totals too. Its one row: how many registers were written, and how many groups lost
/// their last row.
std::string upsert_with_totals(const Definition& definition, const std::string& changes, const UpsertParts& upsert);
/// Removes groups without rows among those of a batch; same parameters.
std::string remove_empty_groups(const Definition& definition, const std::string& changes);
/// The totals as the rows give them: SELECT of all total_columns. `only`: a condition on the rows.
std::string totals_query(const Definition& definition, const std::string& only);

} // namespace keyshift::projections
