#include "catalog/reference_copy.hpp"
#include "catalog/table_definition.hpp"
#include "core/error.hpp"
#include "projections/commands/base_table.hpp"
#include "projections/reference/reference_event.hpp"
#include "projections/value_codec.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

// Below domains, and of arrays their elements: as the codec wants it.
constexpr const char* kColumns = R"sql(
WITH RECURSIVE t AS (
    SELECT a.attnum AS number, a.attname AS name, a.attidentity = 'a' AS always, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
           a.atttypid AS id, a.atttypmod AS modifier
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    UNION ALL SELECT t.number, t.name, t.always, t.type, d.typbasetype, CASE WHEN d.typtypmod >= 0 THEN d.typtypmod ELSE t.modifier END
    FROM t JOIN pg_catalog.pg_type d ON d.oid = t.id WHERE d.typtype = 'd')
SELECT t.name, t.type, CASE WHEN coalesce(e.typtype, b.typtype) = 'e' THEN 'enum' ELSE coalesce(e.typname, b.typname) END,
       t.modifier, e.oid IS NOT NULL, t.always
FROM t JOIN pg_catalog.pg_type b ON b.oid = t.id AND b.typtype <> 'd'
LEFT JOIN pg_catalog.pg_type e ON e.oid = b.typelem AND b.typcategory = 'A' ORDER BY t.number)sql";

} // namespace

ReferenceTable read_reference_table(pg::Connection& home, const catalog::CapturedTable& captured,
                                    const EventForms& forms, const std::string& topic_prefix)
{
    ReferenceTable table;
    table.id = captured.id;
    table.name = captured.name;
    table.home = captured.node;
    table.topic = data_topic(topic_prefix, captured.name.schema, captured.name.name);
    const catalog::TableDefinition definition = catalog::read_table(home, captured.name);
    const pg::Result rows = home.query(kColumns, {captured.name.quoted()});
    table.definition = catalog::shape_of_table(home, captured.name);
    table.shape = table.definition;
    for (int row = 0; row < rows.rows(); ++row) {
        BaseColumn column{std::string(rows.text(row, 0)), std::string(rows.text(row, 1)),
                          std::string(rows.text(row, 2)), static_cast<std::int32_t>(rows.integer(row, 3)),
                          rows.boolean(row, 4)};
        column.form = form_of(column.type_name, forms);
        table.shape += column.form.empty() ? "" : fmt::format(", {} as {}", column.name, column.form);
        table.settable.push_back(!rows.boolean(row, 5));
        table.columns.push_back(std::move(column));
    }
    if (const catalog::ConstraintDefinition* primary = definition.primary_key()) {
        for (const std::string& name : primary->columns) {
            const auto place = std::ranges::find(table.columns, name, &BaseColumn::name);
            if (place != table.columns.end()) {
                table.key.push_back(static_cast<std::size_t>(place - table.columns.begin()));
            }
        }
    }
    return table;
}

std::optional<ErrorParts> lost_in_events(const ReferenceTable& table)
{
    for (const BaseColumn& column : table.columns) {
        if (const auto loss = lost_in_events(column)) {
            return ErrorParts{"keeping copies of " + table.name.to_string(),
                              fmt::format("column {} of type {} {}", column.name, column.type, loss->why), loss->next};
        }
    }
    return std::nullopt;
}

} // namespace keyshift::projections
