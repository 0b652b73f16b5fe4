#include "projections/commands/composite_columns.hpp"

#include "core/error.hpp"
#include "projections/sql_text.hpp"

#include <fmt/core.h>

namespace keyshift::projections {

namespace {

[[noreturn]] void refuse(const CompositePlan& plan, const std::string& why, const std::string& next)
{
    throw RefusedError({"creating projection " + plan.name, why, next});
}

void refuse_changing(pg::Connection& node, const CompositePlan& plan)
{
    for (const auto& [name, place] : plan.select.functions) {
        const pg::Result found = node.query(
            "SELECT bool_and(provolatile <> 'i') FROM pg_proc WHERE proname = $1 AND prokind <> 'a'", {name});
        if (!found.is_null(0, 0) && found.boolean(0, 0)) {
            refuse(plan,
                   "the value of " + name + " changes with time, session or settings\n" +
                       with_caret(plan.select.sql, place),
                   "Use immutable functions only; store other values in a column.");
        }
    }
}

} // namespace

std::vector<ProjectedColumn> columns_of_composite(pg::Connection& node, const CompositePlan& plan)
{
    pg::Transaction transaction(node);
    for (std::size_t at = 0; at < plan.members.size(); ++at) {
        std::string columns;
        for (const ProjectedColumn& column : plan.members[at].definition.columns) {
            columns += fmt::format("{}{} {}", columns.empty() ? "" : ", ", quote_identifier(column.name), column.type);
        }
        node.script(fmt::format("CREATE TEMP TABLE keyshift_m{} ({})", at, columns));
    }
    std::vector<std::string> relations;
    for (const std::size_t member : plan.member_of_use) {
        relations.push_back(fmt::format("pg_temp.keyshift_m{}", member));
    }
    try {
        node.script("CREATE TEMP VIEW keyshift_types AS " + with_tables(plan.select, relations));
    } catch (const pg::SqlError& error) {
        refuse(plan, error.parts().why, "Correct the SELECT.");
    }
    const pg::Result types = node.query(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pg_temp.keyshift_types'::regclass AND attnum > 0 ORDER BY attnum");
    std::vector<ProjectedColumn> columns;
    for (int row = 0; row < types.rows(); ++row) {
        columns.push_back({std::string(types.text(row, 0)), std::string(types.text(row, 1))});
    }
    refuse_changing(node, plan);
    return columns;
}

} // namespace keyshift::projections
