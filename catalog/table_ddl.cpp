#include "catalog/table_ddl.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

constexpr const char* kUndefinedObject = "42704";

std::string column_sql(const ColumnDefinition& column)
{
    std::string sql = quote_identifier(column.name) + " " + column.type;
    if (!column.collation.empty()) {
        sql += " COLLATE " + column.collation;
    }
    if (column.generated != '\0') {
        sql += fmt::format(" GENERATED ALWAYS AS ({}) {}", column.default_expression,
                           column.generated == 'v' ? "VIRTUAL" : "STORED");
    } else if (column.identity != '\0') {
        sql += fmt::format(" GENERATED {} AS IDENTITY", column.identity == 'a' ? "ALWAYS" : "BY DEFAULT");
        if (!column.sequence_options.empty()) {
            sql += " (" + column.sequence_options + ")";
        }
    } else if (!column.default_expression.empty()) {
        sql += " DEFAULT " + column.default_expression;
    }
    return column.not_null ? sql + " NOT NULL" : sql;
}

void set_replica_identity(pg::Connection& connection, const TableDefinition& table)
{
    if (table.replica_identity == 'f' || table.replica_identity == 'n') {
        connection.script(fmt::format("ALTER TABLE {} REPLICA IDENTITY {}", table.name.quoted(),
                                      table.replica_identity == 'f' ? "FULL" : "NOTHING"));
    } else if (table.replica_identity == 'i' && !table.replica_identity_index.empty()) {
        connection.script(fmt::format("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", table.name.quoted(),
                                      quote_identifier(table.replica_identity_index)));
    }
}

} // namespace

bool run_unless(pg::Connection& connection, const std::string& sql, const std::vector<std::string>& tolerated)
{
    connection.script("SAVEPOINT keyshift_try");
    try {
        connection.script(sql);
    } catch (const pg::SqlError& error) {
        connection.script("ROLLBACK TO SAVEPOINT keyshift_try; RELEASE SAVEPOINT keyshift_try");
        if (std::find(tolerated.begin(), tolerated.end(), error.sqlstate()) == tolerated.end()) {
            throw;
        }
        return false;
    }
    connection.script("RELEASE SAVEPOINT keyshift_try");
    return true;
}

void create_bare_table(pg::Connection& connection, const TableDefinition& table,
                       const std::vector<std::string>& hash_key)
{
    std::vector<std::string> columns;
    for (const ColumnDefinition& column : table.columns) {
        columns.push_back(column_sql(column));
    }
    std::string sql = fmt::format("CREATE TABLE {} ({})", table.name.quoted(), join(columns));
    if (!hash_key.empty()) {
        sql += fmt::format(" PARTITION BY HASH ({})", quoted_list(hash_key));
    }
    connection.script(sql);
}

void add_constraint(pg::Connection& connection, const QualifiedName& table, const ConstraintDefinition& constraint)
{
    std::string definition = constraint.definition;
    constexpr std::string_view kNotValid = " NOT VALID";
    if (definition.ends_with(kNotValid)) {
        definition.resize(definition.size() - kNotValid.size());
    }
    connection.script(fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}", table.quoted(),
                                  quote_identifier(constraint.name), definition));
}

std::string set_owner(pg::Connection& connection, const TableDefinition& table)
{
    const std::string sql =
        fmt::format("ALTER TABLE {} OWNER TO {}", table.name.quoted(), quote_identifier(table.owner));
    return run_unless(connection, sql, {kUndefinedObject})
               ? std::string()
               : fmt::format("owner {} of {} does not exist on {}", table.owner, table.name.to_string(),
                             connection.name());
}

std::vector<std::string> complete_table(pg::Connection& connection, const TableDefinition& table)
{
    std::vector<std::string> warnings;
    for (const ConstraintDefinition& constraint : table.constraints) {
        add_constraint(connection, table.name, constraint);
    }
    for (const IndexDefinition& index : table.indexes) {
        connection.script(index.definition);
    }
    for (const auto* group : {&table.triggers, &table.alterations, &table.comments}) {
        for (const std::string& sql : *group) {
            connection.script(sql);
        }
    }
    set_replica_identity(connection, table);
    for (const std::string& grant : table.grants) {
        if (!run_unless(connection, grant, {kUndefinedObject})) {
            warnings.push_back(
                fmt::format("not carried to {}, where the role does not exist: {}", connection.name(), grant));
        }
    }
    return warnings;
}

} // namespace keyshift::catalog
