#include "catalog/option_check.hpp"

#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

std::string projection_conflict(const CaptureOptions& options, const std::vector<std::string>& row_key,
                                const std::vector<std::string>& columns)
{
    for (const std::string& column : columns) {
        if (!options.shows(column)) {
            return fmt::format("column {} is in no event: it was left out by `table capture`", column);
        }
        if (options.alters(column)) {
            return fmt::format("the events do not show the values of column {}: `table capture` has it {}", column,
                               options.mask.contains(column)       ? "masked"
                               : options.truncate.contains(column) ? "cut"
                                                                   : "hashed");
        }
    }
    if (options.on_error == OnError::dead_letter) {
        return "events that are too large for the topic are not in it: `table capture` has --on-error dead-letter";
    }
    if (!options.where.empty()) {
        return "only some rows have events: `table capture` has a row filter";
    }
    for (const std::string& column : options.key) {
        if (std::ranges::find(row_key, column) == row_key.end()) {
            return fmt::format(
                "events of a row may be in several partitions, in no order between them: `table capture` has "
                "column {} in the message key, which the primary key lacks",
                column);
        }
    }
    return "";
}

void refuse_for_projections(const std::string& what, pg::Connection& catalog, const OptionTable& table,
                            const CaptureOptions& options)
{
    std::vector<std::string> row_key;
    for (const OptionTable::Column& column : table.columns) {
        if (column.row_key) {
            row_key.push_back(column.name);
        }
    }
    if (catalog
            .query(
                "SELECT EXISTS (SELECT FROM keyshift.captured_table WHERE schema_name = $1 AND table_name = $2 AND reference)",
                {table.name.schema, table.name.name})
            .boolean(0, 0)) {
        std::vector<std::string> columns;
        for (const OptionTable::Column& column : table.columns) {
            columns.push_back(column.name);
        }
        if (const std::string why = projection_conflict(options, row_key, columns); !why.empty()) {
            throw RefusedError({what, "the copies of this reference table are made from its events, and then " + why,
                                "Leave the option away."});
        }
    }
    const pg::Result rows = catalog.query(
        "SELECT coalesce(p.part_of, p.name), c ->> 'name' FROM keyshift.projection p, jsonb_array_elements(p.definition -> 'base_columns') c "
        "WHERE p.definition -> 'base' ->> 'schema' = $1 AND p.definition -> 'base' ->> 'table' = $2 ORDER BY p.id",
        {table.name.schema, table.name.name});
    for (int row = 0; row < rows.rows(); ++row) {
        const std::string why = projection_conflict(options, row_key, {std::string(rows.text(row, 1))});
        if (!why.empty()) {
            throw RefusedError(
                {what, fmt::format("projection {} is made from its events, and then {}", rows.text(row, 0), why),
                 fmt::format("Drop the projection first (`keyshift projection drop {}`), or leave the "
                             "option away.",
                             rows.text(row, 0))});
        }
    }
}

} // namespace keyshift::catalog
