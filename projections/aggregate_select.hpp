#pragma once
/// A SELECT with GROUP BY or aggregates, cut into what is kept of each row and what is made of each group. Pure.

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

namespace keyshift::projections {

/// An expression over groups: SQL text, with the number of an aggregate call wherever one stands.
using GroupExpression = std::vector<std::variant<std::string, std::size_t>>;

struct AggregateCall {
    std::string name;                     ///< of the function, without schema
    std::string text;                     ///< as written, FILTER included
    std::vector<std::string> expressions; ///< all that it evaluates for each row
    std::string argument;                 ///< of a `plain` call; empty: count(*)
    std::string filter;                   ///< of FILTER (WHERE ...); empty: none
    bool plain = false;                   ///< at most one argument; no DISTINCT, ORDER BY or WITHIN GROUP
    bool ordered = false;                 ///< it says in which order it takes the rows
    std::size_t place = 0;                ///< byte of the user's SQL
};

struct GroupItem {
    std::string sql;
    std::string base_column; ///< empty: an expression
    std::string alias;       ///< the output column's name by which GROUP BY calls it; empty: it does not
    std::size_t place = 0;   ///< byte of the user's SQL
};

struct ParsedAggregation {
    std::vector<GroupItem> group;
    std::vector<AggregateCall> calls;
    std::vector<GroupExpression> targets; ///< as ParsedSelect::columns
    GroupExpression having;               ///< empty: none
    std::vector<std::string> functions;   ///< all others that are called
};

bool is_aggregate_call(const nlohmann::json& call);
/// Whether it has GROUP BY, HAVING, or an aggregate in its list.
bool is_aggregated(const nlohmann::json& select);

/// Of the user's `sql` and the same statement as canonical `text`, whose list is `targets`. Throws Error(refused).
ParsedAggregation parse_aggregation(const std::string& sql, const std::string& text,
                                    const std::vector<std::string>& targets);

} // namespace keyshift::projections
