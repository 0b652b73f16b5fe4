#include "projections/aggregation.hpp"

#include "projections/definition.hpp"
#include "projections/spelling.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

/// What a measure calls its columns: "_m2" for the second one's count.
std::string named(const char* prefix, std::size_t measure)
{
    return fmt::format("{}{}", prefix, measure + 1);
}

/// The sum of `value` over the rows that the measure counts and `also` takes.
std::string signed_sum(const Measure& measure, const std::string& value, const std::string& also)
{
    std::string condition = measure.argument.empty() ? "true" : fmt::format("({}) IS NOT NULL", measure.argument);
    condition += measure.filter.empty() ? "" : fmt::format(" AND ({})", measure.filter);
    condition += also.empty() ? "" : " AND " + also;
    return fmt::format("coalesce(sum({}) FILTER (WHERE {}), 0)", value, condition);
}

void add_sum_columns(std::vector<TotalColumn>& columns, const Measure& measure, std::size_t at)
{
    if (!measure.numeric) {
        columns.push_back({named("_s", at), "numeric",
                           signed_sum(measure, fmt::format("_sign * ({})::numeric", measure.argument), ""), false});
        return;
    }
    const std::string special = fmt::format("({})::numeric IN ('NaN', 'Infinity', '-Infinity')", measure.argument);
    columns.push_back(
        {named("_s", at), "numeric",
         signed_sum(measure, fmt::format("_sign * ({})", measure.argument), fmt::format("NOT {}", special)), false});
    for (const auto& [prefix, value] : {std::pair{"_nan", "NaN"}, {"_up", "Infinity"}, {"_down", "-Infinity"}}) {
        columns.push_back({named(prefix, at), "bigint",
                           signed_sum(measure, "_sign", fmt::format("({})::numeric = '{}'", measure.argument, value)),
                           false});
    }
}

std::string total(const std::string& column)
{
    return "\"_total\"." + quote_identifier(column);
}

std::string sum_of(const Measure& measure, std::size_t at)
{
    const std::string sum = total(named("_s", at));
    if (!measure.numeric) {
        return sum;
    }
    const std::string nan = total(named("_nan", at));
    const std::string up = total(named("_up", at));
    const std::string down = total(named("_down", at));
    return fmt::format(
        "CASE WHEN {0} > 0 OR {1} > 0 AND {2} > 0 THEN 'NaN'::numeric WHEN {1} > 0 THEN 'Infinity'::numeric "
        "WHEN {2} > 0 THEN '-Infinity'::numeric ELSE {3} END",
        nan, up, down, sum);
}

/// The rows of the group at hand, under the name by which the user's SELECT calls the table.
std::string rows_of_group(const Definition& definition)
{
    const Aggregation& aggregation = *definition.aggregation;
    std::string condition;
    for (std::size_t at = 0; at < aggregation.group.size(); ++at) {
        const GroupColumn& column = aggregation.group[at];
        const std::string value = total(named("_g", at));
        condition += condition.empty() ? "" : " AND ";
        condition += column.may_be_null
                         ? fmt::format("(({0}) = {1} OR ({0}) IS NULL AND {1} IS NULL)", column.sql, value)
                         : fmt::format("({}) = {}", column.sql, value);
    }
    return fmt::format("{} AS {} WHERE _live AND {}", definition.table().quoted(), quote_identifier(definition.alias),
                       condition);
}

std::string measure_sql(const Definition& definition, std::size_t at)
{
    const Measure& measure = definition.aggregation->measures[at];
    const std::string count = total(named("_m", at));
    switch (measure.kind) {
    case MeasureKind::count:
        return count;
    case MeasureKind::sum:
        return fmt::format("(CASE WHEN {} > 0 THEN {} END)::{}", count, sum_of(measure, at), measure.type);
    case MeasureKind::average:
        return fmt::format("(CASE WHEN {0} > 0 THEN {1} / {0} END)", count, sum_of(measure, at));
    case MeasureKind::every_row:
        return fmt::format("(CASE WHEN {0} > 0 THEN {1} = {0} END)", count, total(named("_t", at)));
    case MeasureKind::any_row:
        return fmt::format("(CASE WHEN {} > 0 THEN {} > 0 END)", count, total(named("_t", at)));
    case MeasureKind::when_read:
        break;
    }
    return "\"_read\"." + quote_identifier(named("_r", at));
}

/// What is computed from the group's rows when it is read, all of it in one scan of them. As a join it stands above the scan of
/// the totals, once, and not below each of their leaves; one that is not asked for is removed by the planner.
std::string read_from_rows(const Definition& definition)
{
    const std::vector<Measure>& measures = definition.aggregation->measures;
    std::string calls;
    for (std::size_t at = 0; at < measures.size(); ++at) {
        if (measures[at].kind == MeasureKind::when_read) {
            calls += fmt::format("{}{} AS {}", calls.empty() ? "" : ", ", measures[at].call,
                                 quote_identifier(named("_r", at)));
        }
    }
    return calls.empty() ? ""
                         : fmt::format(" LEFT JOIN LATERAL (SELECT {} FROM {}) AS \"_read\" ON true", calls,
                                       rows_of_group(definition));
}

std::string written(const Definition& definition, const GroupExpression& expression)
{
    std::string sql;
    for (const auto& piece : expression) {
        const auto* text = std::get_if<std::string>(&piece);
        sql += text != nullptr ? *text : measure_sql(definition, std::get<std::size_t>(piece));
    }
    return sql;
}

/// An output column that is a grouped expression as a whole is the group's column.
std::string shown_sql(const Definition& definition, const GroupExpression& expression)
{
    const Aggregation& aggregation = *definition.aggregation;
    for (std::size_t at = 0; at < aggregation.group.size(); ++at) {
        if (expression.size() == 1 && std::holds_alternative<std::string>(expression.front()) &&
            std::get<std::string>(expression.front()) == aggregation.group[at].sql) {
            return total(named("_g", at));
        }
    }
    return written(definition, expression);
}

std::string list_of(const std::vector<TotalColumn>& columns, bool (*wanted)(const TotalColumn&))
{
    std::string list;
    for (const TotalColumn& column : columns) {
        if (wanted(column)) {
            list += (list.empty() ? "" : ", ") + quote_identifier(column.name);
        }
    }
    return list;
}

bool any_column(const TotalColumn&)
{
    return true;
}

bool group_column(const TotalColumn& column)
{
    return column.group;
}

std::string sums_of(const std::vector<TotalColumn>& columns)
{
    std::string list;
    for (const TotalColumn& column : columns) {
        list += fmt::format("{}({})::{} AS {}", list.empty() ? "" : ", ", column.sum, column.type,
                            quote_identifier(column.name));
    }
    return list;
}

/// The numbers 1, 2, ... of the group columns among those that sums_of selects.
std::string group_numbers(const Aggregation& aggregation)
{
    std::string list;
    for (std::size_t at = 1; at <= aggregation.group.size(); ++at) {
        list += (list.empty() ? "" : ", ") + std::to_string(at);
    }
    return list;
}

/// What tells a version of a register from all others, as columns of `row`.
std::string version_of(const std::string& row, const std::vector<std::string>& key, const std::vector<std::string>& pk,
                       const char* prefix)
{
    std::string list;
    for (const auto* names : {&key, &pk}) {
        for (const std::string& name : *names) {
            list += fmt::format("{}.{}, ", row, quote_identifier(name));
        }
    }
    return fmt::format("{0}{1}.{2}epoch, {1}.{2}lsn, {1}.{2}seq", list, row, prefix);
}

/// Two rows of Definition::table that are the same register. Arrays are compared as the index compares their elements, wherever
/// the operator of the type is.
std::string same_row(const Definition& definition, const std::string& a, const std::string& b)
{
    std::string condition;
    for (const auto* names : {&definition.key, &definition.pk_names}) {
        for (const std::string& name : *names) {
            condition +=
                fmt::format(fmt::runtime(may_be_respelt(definition, name) ? "{0}ARRAY[{1}.{3}] = ARRAY[{2}.{3}]"
                                                                          : "{0}{1}.{3} = {2}.{3}"),
                            condition.empty() ? "" : " AND ", a, b, quote_identifier(name));
        }
    }
    return condition;
}

} // namespace

std::vector<TotalColumn> total_columns(const Aggregation& aggregation)
{
    std::vector<TotalColumn> columns;
    for (std::size_t at = 0; at < aggregation.group.size(); ++at) {
        columns.push_back({named("_g", at), aggregation.group[at].type, aggregation.group[at].sql, true});
    }
    columns.push_back({"_n", "bigint", "sum(_sign)", false});
    for (std::size_t at = 0; at < aggregation.measures.size(); ++at) {
        const Measure& measure = aggregation.measures[at];
        if (measure.kind == MeasureKind::when_read) {
            continue;
        }
        columns.push_back({named("_m", at), "bigint", signed_sum(measure, "_sign", ""), false});
        if (measure.kind == MeasureKind::sum || measure.kind == MeasureKind::average) {
            add_sum_columns(columns, measure, at);
        } else if (measure.kind != MeasureKind::count) {
            columns.push_back({named("_t", at), "bigint",
                               signed_sum(measure, "_sign", fmt::format("({})", measure.argument)), false});
        }
    }
    return columns;
}

std::vector<std::string> total_key(const Definition& definition)
{
    std::vector<std::string> key;
    const auto& group = definition.aggregation->group;
    for (const std::string& column : definition.key) {
        const auto found =
            std::find_if(group.begin(), group.end(), [&](const GroupColumn& one) { return one.base_column == column; });
        key.push_back(named("_g", static_cast<std::size_t>(found - group.begin())));
    }
    return key;
}

std::string groups_query(const Definition& definition)
{
    const Aggregation& aggregation = *definition.aggregation;
    std::string shown;
    for (const ShownColumn& column : aggregation.shown) {
        shown += fmt::format("{}{} AS {}", shown.empty() ? "" : ", ", shown_sql(definition, column.sql),
                             quote_identifier(column.name));
    }
    std::string groups;
    for (std::size_t at = 0; at < aggregation.group.size(); ++at) {
        const GroupColumn& column = aggregation.group[at];
        groups += fmt::format("{}{} AS {}", groups.empty() ? "" : ", ", total(named("_g", at)),
                              quote_identifier(column.base_column.empty() ? named("_g", at) : column.base_column));
    }
    const std::string having =
        aggregation.having.empty() ? "" : fmt::format(" AND ({})", written(definition, aggregation.having));
    return fmt::format(
        "SELECT {} FROM {} AS \"_total\" CROSS JOIN LATERAL (SELECT {}) AS {}{} WHERE \"_total\".\"_n\" > 0{}", shown,
        definition.totals().quoted(), groups, quote_identifier(definition.alias), read_from_rows(definition), having);
}

std::string upsert_with_totals(const Definition& definition, const std::string& changes, const UpsertParts& upsert)
{
    const std::vector<TotalColumn> columns = total_columns(*definition.aggregation);
    std::string added;
    std::string changed;
    for (const TotalColumn& column : columns) {
        if (!column.group) {
            const std::string name = quote_identifier(column.name);
            added += fmt::format("{0}{1} = t.{1} + excluded.{1}", added.empty() ? "" : ", ", name);
            changed += fmt::format("{}{} <> 0", changed.empty() ? "" : " OR ", name);
        }
    }
    // What ks_first wrote was not there, so only the rest is looked up, as the statement's snapshot has it. NOT IN is hashed;
    // with the version in it, two spellings of one key in a batch are refused, as they are without groups.
    return fmt::format(
        "WITH ks_change AS MATERIALIZED ({changes}), ks_first AS ({first} RETURNING t.*), "
        "ks_rest AS MATERIALIZED (SELECT * FROM ks_change c WHERE (SELECT count(*) FROM ks_first) < (SELECT count(*) FROM ks_change) "
        "AND ({change_version}) NOT IN (SELECT {first_version} FROM ks_first f)), ks_second AS ({rest} RETURNING t.*), "
        "ks_old AS (SELECT o.* FROM ks_second n CROSS JOIN LATERAL (SELECT * FROM {table} r WHERE {row} OFFSET 0) o WHERE o._live), "
        "ks_difference AS (SELECT {sums} FROM (SELECT 1 AS _sign, n.* FROM ks_first n WHERE n._live "
        "UNION ALL SELECT 1, n.* FROM ks_second n WHERE n._live UNION ALL SELECT -1, o.* FROM ks_old o) AS {alias} GROUP BY {numbers}), "
        "ks_total AS (INSERT INTO {totals} AS t ({list}) SELECT {list} FROM ks_difference WHERE {changed} ORDER BY {groups} "
        "ON CONFLICT ({groups}) DO UPDATE SET {added} RETURNING t.\"_n\") "
        "SELECT (SELECT count(*) FROM ks_first) + (SELECT count(*) FROM ks_second), (SELECT count(*) FROM ks_total WHERE \"_n\" = 0)",
        fmt::arg("changes", changes), fmt::arg("table", definition.table().quoted()), fmt::arg("first", upsert.first),
        fmt::arg("rest", upsert.rest),
        fmt::arg("change_version", version_of("c", definition.key_base, definition.pk, "_ks_")),
        fmt::arg("first_version", version_of("f", definition.key, definition.pk_names, "_")),
        fmt::arg("sums", sums_of(columns)), fmt::arg("row", same_row(definition, "n", "r")),
        fmt::arg("alias", quote_identifier(definition.alias)),
        fmt::arg("numbers", group_numbers(*definition.aggregation)), fmt::arg("totals", definition.totals().quoted()),
        fmt::arg("list", list_of(columns, any_column)), fmt::arg("changed", changed),
        fmt::arg("groups", list_of(columns, group_column)), fmt::arg("added", added));
}

std::string remove_empty_groups(const Definition& definition, const std::string& changes)
{
    const std::vector<std::string> key = total_key(definition);
    std::string same;
    for (std::size_t at = 0; at < key.size(); ++at) {
        same += fmt::format(" AND t.{} = c.{}", quote_identifier(key[at]), quote_identifier(definition.key_base[at]));
    }
    return fmt::format("WITH c AS MATERIALIZED ({}) DELETE FROM {} t USING c WHERE t.\"_n\" = 0{}", changes,
                       definition.totals().quoted(), same);
}

std::string totals_query(const Definition& definition, const std::string& only)
{
    return fmt::format("SELECT {} FROM (SELECT 1 AS _sign, * FROM {} WHERE _live AND {}) AS {} GROUP BY {}",
                       sums_of(total_columns(*definition.aggregation)), definition.table().quoted(), only,
                       quote_identifier(definition.alias), group_numbers(*definition.aggregation));
}

} // namespace keyshift::projections
