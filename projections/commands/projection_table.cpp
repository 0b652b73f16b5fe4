#include "projections/commands/projection_table.hpp"

#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

catalog::TableDefinition table_of(const Definition& definition)
{
    catalog::TableDefinition table;
    table.name = definition.table();
    std::vector<std::string> primary = definition.key;
    for (const ProjectedColumn& column : definition.columns) {
        catalog::ColumnDefinition made;
        made.name = column.name;
        made.type = column.type;
        made.element_type = column.type.substr(0, column.type.find('('));
        table.columns.push_back(std::move(made));
    }
    const auto add = [&](const std::string& name, const std::string& type) {
        catalog::ColumnDefinition made;
        made.name = name;
        made.type = type;
        made.element_type = type;
        made.not_null = true;
        table.columns.push_back(std::move(made));
    };
    for (std::size_t at = 0; at < definition.pk.size(); ++at) {
        const std::string& name = definition.pk_names[at];
        if (name == "_pk_" + definition.pk[at]) {
            add(name, definition.base_columns[definition.base_column(definition.pk[at])].type);
        }
        if (std::find(primary.begin(), primary.end(), name) == primary.end()) {
            primary.push_back(name);
        }
    }
    for (catalog::ColumnDefinition& column : table.columns) {
        column.not_null = std::find(primary.begin(), primary.end(), column.name) != primary.end();
    }
    add("_epoch", "bigint");
    add("_lsn", "bigint");
    add("_seq", "bigint");
    add("_live", "boolean");
    catalog::ConstraintDefinition key;
    key.name = definition.table().name + "_pkey";
    key.kind = 'p';
    key.columns = primary;
    key.definition = "PRIMARY KEY (" + catalog::quoted_list(primary) + ")";
    table.constraints.push_back(std::move(key));
    return table;
}

std::string view_statement(const Definition& definition)
{
    std::string columns;
    for (const ProjectedColumn& column : definition.columns) {
        columns += (columns.empty() ? "" : ", ") + quote_identifier(column.name);
    }
    return fmt::format("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {} WHERE _live", definition.view().quoted(),
                       columns, definition.table().quoted());
}

void make_generation(pg::Connection& connection, const catalog::Node& node, const Definition& definition,
                     catalog::DistributedRoot root)
{
    // There is no catalog row of this generation, so nobody uses what is there of it.
    connection.script("DROP TABLE IF EXISTS " + definition.table().quoted() + " CASCADE");
    forget_progress(connection, definition);
    root.definition.owner = connection.query("SELECT current_user").text(0, 0);
    catalog::make_empty_root(connection, node, root);
}

void forget_progress(pg::Connection& connection, const Definition& definition)
{
    for (const char* table : {"projection_progress", "projection_source"}) {
        connection.query(fmt::format("DELETE FROM keyshift.{} WHERE projection = $1 AND generation = $2", table),
                         {definition.name, std::to_string(definition.generation)});
    }
}

void drop_generation(pg::Connection& connection, const Definition& definition)
{
    connection.script(fmt::format("DROP TABLE IF EXISTS {} CASCADE", definition.table().quoted()));
    catalog::forget_table(connection, definition.table(), definition.name);
    forget_progress(connection, definition);
}

} // namespace keyshift::projections
