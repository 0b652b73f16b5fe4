#include "projections/commands/aggregate_definition.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace keyshift::projections {

namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& why, const std::string& next)
{
    throw RefusedError({"creating projection " + name, why, next});
}

[[noreturn]] void refuse_at(const std::string& name, const ParsedSelect& select, std::size_t place,
                            const std::string& why, const std::string& next)
{
    refuse(name, why + "\n" + with_caret(select.sql, place), next);
}

/// The expression with `call` in the place of each aggregate.
template <class Call>
std::string written(const GroupExpression& expression, const Call& call)
{
    std::string sql;
    for (const auto& piece : expression) {
        const auto* text = std::get_if<std::string>(&piece);
        sql += text != nullptr ? *text : call(std::get<std::size_t>(piece));
    }
    return sql;
}

/// Asks one node about parts of a SELECT. Nothing of this stays there: it runs in a transaction that is rolled back.
class Types {
public:
    Types(pg::Connection& node, const ParsedSelect& select, const Definition& rows)
        : node_(node), select_(select), rows_(rows), transaction_(node)
    {
    }

    struct Column {
        std::string name;
        std::string type;
    };
    /// Of a list of expressions over the base table; `clauses`: GROUP BY, HAVING.
    std::vector<Column> of(const std::string& list, const std::string& clauses)
    {
        std::vector<Column> columns;
        if (list.empty()) {
            return columns;
        }
        const std::string where = rows_.condition.empty() ? "" : " WHERE " + rows_.condition;
        script(fmt::format("CREATE TEMP VIEW keyshift_types AS SELECT {} FROM {} AS {}{}{}", list, rows_.base.quoted(),
                           quote_identifier(rows_.alias), where, clauses));
        const pg::Result types = node_.query(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pg_temp.keyshift_types'::regclass AND attnum > 0 ORDER BY attnum");
        for (int row = 0; row < types.rows(); ++row) {
            columns.push_back({std::string(types.text(row, 0)), std::string(types.text(row, 1))});
        }
        node_.script("DROP VIEW pg_temp.keyshift_types");
        return columns;
    }

    std::vector<Column> of(const std::vector<std::string>& expressions, const std::string& clauses)
    {
        std::string list;
        for (std::size_t at = 0; at < expressions.size(); ++at) {
            list += fmt::format("{}({}) AS c{}", list.empty() ? "" : ", ", expressions[at], at);
        }
        return of(list, clauses);
    }

    /// As in an index, which has the same need. `more`: columns beside the base table's, as DDL.
    void require_immutable(const std::vector<std::string>& expressions, const std::string& more)
    {
        script(
            fmt::format("CREATE TEMP TABLE {} (LIKE {}{})", quote_identifier(rows_.alias), rows_.base.quoted(), more));
        script(fmt::format("CREATE INDEX ON pg_temp.{} ((1)) WHERE ROW({}) IS NOT NULL", quote_identifier(rows_.alias),
                           fmt::join(expressions, ", ")));
    }

    bool has_column(const std::string& name)
    {
        return node_
                   .query("SELECT FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2 AND attnum > 0",
                          {rows_.base.quoted(), name})
                   .rows() > 0;
    }

    bool is_not_null(const std::string& name)
    {
        return node_
                   .query("SELECT FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2 AND attnotnull",
                          {rows_.base.quoted(), name})
                   .rows() > 0;
    }

    /// Aggregates among functions that were not taken for such.
    std::string unknown_aggregate(const std::vector<std::string>& functions)
    {
        const pg::Result found =
            node_.query("SELECT proname FROM pg_proc WHERE proname = ANY($1) AND prokind IN ('a', 'w') LIMIT 1",
                        {catalog::write_array(functions)});
        return found.rows() == 0 ? "" : std::string(found.text(0, 0));
    }

private:
    void script(const std::string& sql)
    {
        try {
            node_.script(sql);
        } catch (const pg::SqlError& error) {
            const bool changing = error.sqlstate() == "42P17";
            refuse(rows_.name,
                   changing
                       ? "it uses something whose value changes with time, session or settings: " + error.parts().why
                       : error.parts().why,
                   changing ? "Use immutable functions and operators only; store other values in a column."
                            : "Correct the SELECT.");
        }
    }

    pg::Connection& node_;
    const ParsedSelect& select_;
    const Definition& rows_;
    pg::Transaction transaction_;
};

class AggregationDefiner {
public:
    AggregationDefiner(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                       const Definition& rows)
        : request_(request), select_(select), parsed_(*select.aggregation), rows_(rows), types_(node, select, rows)
    {
    }

    Aggregation define()
    {
        check_names();
        Aggregation aggregation;
        aggregation.key = request_.key;
        define_groups(aggregation);
        define_measures(aggregation);
        define_shown(aggregation);
        check_values(aggregation);
        return aggregation;
    }

private:
    void check_names()
    {
        if (const std::string name = types_.unknown_aggregate(parsed_.functions); !name.empty()) {
            refuse(request_.name, name + " is an aggregate that is not known here",
                   "Use those of PostgreSQL: count, sum, avg, min, max, bool_and, bool_or, array_agg ... ORDER BY.");
        }
        for (const GroupItem& item : parsed_.group) {
            if (!item.alias.empty() && item.base_column != item.alias && types_.has_column(item.alias)) {
                refuse_at(request_.name, select_, item.place,
                          "GROUP BY " + item.alias + " means the table's column, not the output column of that name",
                          "Give the output column another name, or group by its expression.");
            }
        }
        for (const std::string& column : select_.shown_columns) {
            if (column.starts_with('_')) {
                refuse_at(request_.name, select_, select_.column_places.at(column),
                          "names that begin with _ are the projection's own, and column " + column + " has one",
                          "Rename the column of the table.");
            }
        }
    }

    void define_groups(Aggregation& aggregation)
    {
        std::vector<std::string> expressions;
        for (const GroupItem& item : parsed_.group) {
            expressions.push_back(item.sql);
        }
        const auto typed = types_.of(expressions, "");
        for (std::size_t at = 0; at < parsed_.group.size(); ++at) {
            const GroupItem& item = parsed_.group[at];
            const std::string column = column_of(item);
            const bool key = std::find(rows_.key.begin(), rows_.key.end(), column) != rows_.key.end();
            const bool may_be_null = !key && (column.empty() || !types_.is_not_null(column));
            aggregation.group.push_back({item.sql, column, typed[at].type, may_be_null});
            clauses_ += (at == 0 ? " GROUP BY " : ", ") + item.sql;
        }
    }

    /// The column of the rows' table that it is; empty: an expression which is no key.
    std::string column_of(const GroupItem& item) const
    {
        for (std::size_t at = 0; at < rows_.key.size() && item.base_column.empty(); ++at) {
            if (rows_.base_columns[rows_.base_column(rows_.key_base[at])].computed == item.sql) {
                return rows_.key[at];
            }
        }
        return item.base_column;
    }

    void define_measures(Aggregation& aggregation)
    {
        std::vector<std::string> calls;
        std::vector<std::string> arguments;
        for (const AggregateCall& call : parsed_.calls) {
            calls.push_back(call.text);
            arguments.push_back(call.argument.empty() ? "NULL::boolean" : call.argument);
        }
        const auto results = types_.of(calls, clauses_);
        const auto values = types_.of(arguments, "");
        for (std::size_t at = 0; at < calls.size(); ++at) {
            const AggregateCall& call = parsed_.calls[at];
            refuse_inexact(call, results[at].type);
            aggregation.measures.push_back({kind_of(call, values[at].type), call.text, call.argument, call.filter,
                                            results[at].type, values[at].type.starts_with("numeric")});
        }
    }

    void refuse_inexact(const AggregateCall& call, const std::string& result) const
    {
        static const std::set<std::string> kOrdered{"array_agg", "string_agg",      "json_agg",
                                                    "jsonb_agg", "json_object_agg", "jsonb_object_agg"};
        static const std::set<std::string> kSums{"sum",         "avg",      "stddev",  "stddev_pop",
                                                 "stddev_samp", "variance", "var_pop", "var_samp"};
        if (call.name == "any_value") {
            refuse_at(request_.name, select_, call.place, "any_value takes any row's value, so it is not determined",
                      "Take min or max.");
        }
        if (kOrdered.contains(call.name) && !call.ordered) {
            refuse_at(request_.name, select_, call.place,
                      call.name +
                          " does not say in which order it takes the rows, so the same rows could give another value",
                      "Say it inside of the brackets: ORDER BY ...");
        }
        if (kSums.contains(call.name) && (result == "real" || result == "double precision")) {
            refuse_at(request_.name, select_, call.place,
                      "a sum of floating point numbers depends on the order they are added in",
                      "Add exact numbers: " + call.name + "((" +
                          (call.argument.empty() ? std::string("...") : call.argument) + ")::numeric)");
        }
    }

    static MeasureKind kind_of(const AggregateCall& call, const std::string& type)
    {
        static const std::set<std::string> kExact{"smallint", "integer", "bigint"};
        if (!call.plain) {
            return MeasureKind::when_read;
        }
        const bool number = kExact.contains(type) || type.starts_with("numeric");
        return call.name == "count"                              ? MeasureKind::count
               : call.name == "sum" && number                    ? MeasureKind::sum
               : call.name == "avg" && number                    ? MeasureKind::average
               : call.name == "bool_and" || call.name == "every" ? MeasureKind::every_row
               : call.name == "bool_or"                          ? MeasureKind::any_row
                                                                 : MeasureKind::when_read;
    }

    void define_shown(Aggregation& aggregation)
    {
        const auto call = [&](std::size_t at) {
            return parsed_.calls[at].text;
        };
        std::string list;
        for (std::size_t at = 0; at < parsed_.targets.size(); ++at) {
            list += fmt::format("{}{} AS {}", list.empty() ? "" : ", ", written(parsed_.targets[at], call),
                                quote_identifier(select_.columns[at].name));
        }
        if (!parsed_.having.empty()) {
            clauses_ += " HAVING " + written(parsed_.having, call);
        }
        const auto typed = types_.of(list, clauses_);
        for (std::size_t at = 0; at < typed.size(); ++at) {
            aggregation.shown.push_back({typed[at].name, typed[at].type, parsed_.targets[at]});
        }
        aggregation.having = parsed_.having;
    }

    /// What is evaluated for each row, and what is made of the aggregates' results.
    void check_values(const Aggregation& aggregation)
    {
        // A column each, since an expression over constants would be computed and not be looked at.
        const auto result = [](std::size_t at) {
            return fmt::format("\"_ks_result{}\"", at);
        };
        std::string results;
        for (std::size_t at = 0; at < aggregation.measures.size(); ++at) {
            results += fmt::format(", {} {}", result(at), aggregation.measures[at].type);
        }
        std::vector<std::string> expressions;
        for (const GroupItem& item : parsed_.group) {
            expressions.push_back(item.sql);
        }
        for (const AggregateCall& call : parsed_.calls) {
            expressions.insert(expressions.end(), call.expressions.begin(), call.expressions.end());
        }
        for (const GroupExpression& target : parsed_.targets) {
            expressions.push_back(written(target, result));
        }
        if (!parsed_.having.empty()) {
            expressions.push_back(written(parsed_.having, result));
        }
        types_.require_immutable(expressions, results);
    }

    const CreateRequest& request_;
    const ParsedSelect& select_;
    const ParsedAggregation& parsed_;
    const Definition& rows_;
    Types types_;
    std::string clauses_; ///< GROUP BY, then also HAVING
};

const SelectedColumn& key_column(const CreateRequest& request, const ParsedSelect& select, const std::string& name)
{
    const auto shown = std::find_if(select.columns.begin(), select.columns.end(),
                                    [&](const SelectedColumn& column) { return column.name == name; });
    if (shown == select.columns.end()) {
        refuse(request.name, "the key column " + name + " is not selected",
               "Select it, or name a column of the SELECT.");
    }
    return *shown;
}

} // namespace

ParsedSelect rows_of_groups(const CreateRequest& request, const ParsedSelect& select)
{
    ParsedSelect rows = select;
    rows.aggregation.reset();
    rows.columns.clear();
    rows.expressions.clear();
    rows.select_list.clear();
    for (const std::string& column : select.shown_columns) {
        rows.columns.push_back({column, column});
        rows.expressions.push_back(quote_identifier(select.alias) + "." + quote_identifier(column));
        rows.select_list += (rows.select_list.empty() ? "" : ", ") + rows.expressions.back();
    }
    if (rows.columns.empty()) {
        refuse(request.name, "its groups have no column", "Group by a column of the table.");
    }
    const std::vector<std::string> key = base_key(request, select);
    for (std::size_t at = 0; at < key.size(); ++at) {
        const auto& shown = key_column(request, select, request.key[at]);
        if (shown.base_column.empty()) {
            rows.columns.push_back({key[at], ""});
            rows.expressions.push_back(select.expressions[static_cast<std::size_t>(&shown - select.columns.data())]);
            rows.select_list += ", " + rows.expressions.back() + " AS " + quote_identifier(key[at]);
        }
    }
    return rows;
}

std::vector<std::string> base_key(const CreateRequest& request, const ParsedSelect& select)
{
    std::vector<std::string> key;
    for (const std::string& name : request.key) {
        const SelectedColumn& shown = key_column(request, select, name);
        const std::string& expression = select.expressions[static_cast<std::size_t>(&shown - select.columns.data())];
        const auto& group = select.aggregation->group;
        if (std::none_of(group.begin(), group.end(), [&](const GroupItem& item) {
                return shown.base_column.empty() ? item.sql == expression : item.base_column == shown.base_column;
            })) {
            refuse(request.name, "the key column " + name + " is not grouped by",
                   "Key the projection by what it is grouped by: all rows of a group are on one node.");
        }
        key.push_back(shown.base_column.empty() ? fmt::format("_key{}", key.size() + 1) : shown.base_column);
    }
    return key;
}

Aggregation define_aggregation(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                               const Definition& rows)
{
    return AggregationDefiner(node, request, select, rows).define();
}

} // namespace keyshift::projections
