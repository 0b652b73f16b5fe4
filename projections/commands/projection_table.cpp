#include "projections/commands/projection_table.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"
#include "catalog/table_ddl.hpp"
#include "catalog/table_definition.hpp"
#include "core/error.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

/// The column that an expression is; empty: it is more than that.
std::string column_of(const Definition& definition, const std::string& sql)
{
    for (const ProjectedColumn& column : definition.columns) {
        const std::string name = quote_identifier(column.name);
        if (sql == name || sql == quote_identifier(definition.alias) + "." + name) {
            return name;
        }
    }
    return "";
}

/// A column's minimum or maximum is the end of an index when it is read.
void add_extreme_indexes(catalog::TableDefinition& table, const Definition& definition)
{
    const std::vector<Measure> none;
    const auto& measures = definition.aggregation ? definition.aggregation->measures : none;
    for (std::size_t at = 0; at < measures.size(); ++at) {
        const Measure& measure = measures[at];
        const bool extreme = measure.call.starts_with("min(") || measure.call.starts_with("max(");
        const std::string column = column_of(definition, measure.argument);
        if (extreme && measure.filter.empty() && !column.empty()) {
            catalog::IndexDefinition index;
            index.name = fmt::format("{}_m{}", definition.table().name, at + 1);
            index.definition =
                fmt::format("CREATE INDEX {} ON {} USING btree ({}, {}) WHERE _live", quote_identifier(index.name),
                            definition.table().quoted(), catalog::quoted_list(definition.key), column);
            table.indexes.push_back(std::move(index));
        }
    }
}

/// Joins find rows by these, where the primary key does not begin with them.
void add_lookup_indexes(catalog::TableDefinition& table, const Definition& definition,
                        const std::vector<std::string>& primary)
{
    for (std::size_t at = 0; at < definition.lookups.size(); ++at) {
        const std::vector<std::string>& columns = definition.lookups[at];
        if (columns.size() <= primary.size() && std::equal(columns.begin(), columns.end(), primary.begin())) {
            continue;
        }
        catalog::IndexDefinition index;
        index.name = fmt::format("{}_l{}", definition.table().name, at + 1);
        index.definition =
            fmt::format("CREATE INDEX {} ON {} USING btree ({}) WHERE _live", quote_identifier(index.name),
                        definition.table().quoted(), catalog::quoted_list(columns));
        table.indexes.push_back(std::move(index));
    }
}

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
        if (name.starts_with("_pk_")) { // it is not selected
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
    add_extreme_indexes(table, definition);
    add_lookup_indexes(table, definition, primary);
    return table;
}

catalog::TableDefinition totals_of(const Definition& definition)
{
    catalog::TableDefinition table;
    table.name = definition.totals();
    std::vector<std::string> groups;
    bool may_be_null = false;
    for (const TotalColumn& column : total_columns(*definition.aggregation)) {
        catalog::ColumnDefinition made;
        made.name = column.name;
        made.type = column.type;
        made.element_type = column.type.substr(0, column.type.find('('));
        if (column.group) {
            may_be_null = may_be_null || definition.aggregation->group[groups.size()].may_be_null;
            groups.push_back(column.name);
        }
        made.not_null = !column.group;
        table.columns.push_back(std::move(made));
    }
    catalog::ConstraintDefinition key;
    key.name = definition.totals().name + "_key";
    key.kind = may_be_null ? 'u' : 'p';
    key.columns = groups;
    key.definition =
        (may_be_null ? "UNIQUE NULLS NOT DISTINCT (" : "PRIMARY KEY (") + catalog::quoted_list(groups) + ")";
    if (!may_be_null) {
        for (catalog::ColumnDefinition& column : table.columns) {
            column.not_null = true;
        }
    }
    table.constraints.push_back(std::move(key));
    return table;
}

} // namespace

std::string view_statement(const Definition& definition)
{
    if (definition.aggregation) {
        return fmt::format("CREATE OR REPLACE VIEW {} AS {}", definition.view().quoted(), groups_query(definition));
    }
    std::string columns;
    for (const ProjectedColumn& column : definition.columns) {
        columns += (columns.empty() ? "" : ", ") + quote_identifier(column.name);
    }
    return fmt::format("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {} WHERE _live", definition.view().quoted(),
                       columns, definition.table().quoted());
}

namespace {

std::vector<ProjectedColumn> shown_columns(const Definition& definition)
{
    if (!definition.aggregation) {
        return definition.columns;
    }
    std::vector<ProjectedColumn> shown;
    for (const ShownColumn& column : definition.aggregation->shown) {
        shown.push_back({column.name, column.type});
    }
    return shown;
}

/// PostgreSQL lets a view that is replaced get further columns, and nothing else.
bool is_replaced(pg::Connection& connection, const ReadView& view)
{
    const pg::Result columns = connection.query(
        "SELECT attname, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute "
        "WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        {view.name.quoted()});
    bool same = static_cast<std::size_t>(columns.rows()) <= view.columns.size();
    for (int row = 0; same && row < columns.rows(); ++row) {
        const ProjectedColumn& column = view.columns[static_cast<std::size_t>(row)];
        same = columns.text(row, 0) == column.name && columns.text(row, 1) == column.type;
    }
    return same;
}

} // namespace

ReadView read_view(const Definition& definition)
{
    return {definition.view(), shown_columns(definition), view_statement(definition),
            fmt::format("rebuilding projection {}: generation {}", definition.name, definition.generation),
            "Drop them, then `keyshift projection resume " + definition.name + "`."};
}

void refuse_views_in_the_way(pg::Connection& connection, const ReadView& view)
{
    if (is_replaced(connection, view)) {
        return;
    }
    const std::string views(
        connection
            .query(
                "SELECT coalesce(string_agg(DISTINCT r.ev_class::regclass::text, ', '), '') FROM pg_catalog.pg_depend d "
                "JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::regclass "
                "WHERE d.refobjid = pg_catalog.to_regclass($1) AND r.ev_class <> d.refobjid",
                {view.name.quoted()})
            .text(0, 0));
    if (!views.empty()) {
        throw FatalError({view.doing,
                          fmt::format("views on {} read the old one's columns: {}", connection.name(), views),
                          view.next});
    }
}

void turn_view(pg::Connection& connection, const ReadView& view)
{
    if (is_replaced(connection, view)) {
        connection.script(view.statement);
        return;
    }
    refuse_views_in_the_way(connection, view);
    const std::vector<std::string> grants = catalog::read_grants(connection, view.name);
    connection.query("UPDATE keyshift.local_table SET alias = NULL WHERE alias = pg_catalog.to_regclass($1)",
                     {view.name.quoted()});
    connection.script("DROP VIEW " + view.name.quoted());
    connection.script(view.statement);
    for (const std::string& grant : grants) {
        connection.script(grant);
    }
}

namespace {

void make_plain(pg::Connection& connection, const Definition& definition)
{
    catalog::TableDefinition table = table_of(definition);
    table.owner = connection.query("SELECT current_user").text(0, 0);
    catalog::create_bare_table(connection, table, {});
    catalog::complete_table(connection, table);
}

} // namespace

void make_where_missing(pg::Connection& connection, const Definition& definition)
{
    if (!catalog::table_exists(connection, definition.table())) {
        pg::Transaction transaction(connection);
        make_plain(connection, definition);
        if (!catalog::table_exists(connection, definition.view())) {
            connection.script(view_statement(definition));
        }
        transaction.commit();
    }
}

void make_generation(pg::Connection& connection, const catalog::Node& node, const Definition& definition,
                     catalog::DistributedRoot root)
{
    // There is no catalog row of this generation, so nobody uses what is there of it.
    for (const QualifiedName& table : tables_of(definition)) {
        connection.script("DROP TABLE IF EXISTS " + table.quoted() + " CASCADE");
    }
    forget_progress(connection, definition);
    if (definition.everywhere) {
        make_plain(connection, definition);
        return;
    }
    root.captured = false;
    for (const QualifiedName& table : tables_of(definition)) {
        const bool totals = table == definition.totals();
        root.definition = totals ? totals_of(definition) : table_of(definition);
        root.definition.owner = connection.query("SELECT current_user").text(0, 0);
        root.key = totals ? total_key(definition) : definition.key;
        catalog::make_empty_root(connection, node, root);
    }
}

std::vector<QualifiedName> tables_of(const Definition& definition)
{
    // The view is made with the table that it has its name by, so what else it reads must be there before.
    return definition.aggregation ? std::vector{definition.totals(), definition.table()}
                                  : std::vector{definition.table()};
}

void record_tables(pg::Connection& catalog, const Definition& definition)
{
    if (definition.everywhere) {
        return; // it has no buckets, and no move takes it along
    }
    for (const QualifiedName& table : tables_of(definition)) {
        catalog.query(
            "INSERT INTO keyshift.captured_table (schema_name, table_name, group_name, key_columns, captured) VALUES ($1, $2, $3, $4, false)",
            {table.schema, table.name, definition.group,
             catalog::write_array(table == definition.table() ? definition.key : total_key(definition))});
    }
}

void forget_tables(pg::Connection& catalog, const Definition& definition)
{
    for (const QualifiedName& table : tables_of(definition)) {
        catalog.query("DELETE FROM keyshift.captured_table WHERE schema_name = $1 AND table_name = $2",
                      {table.schema, table.name});
    }
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
    for (const QualifiedName& table : tables_of(definition)) {
        connection.script(fmt::format("DROP TABLE IF EXISTS {} CASCADE", table.quoted()));
        if (!definition.everywhere) {
            catalog::forget_table(connection, table, definition.group);
        }
    }
    forget_progress(connection, definition);
}

} // namespace keyshift::projections
