#include "catalog/operations/ddl_target.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

[[noreturn]] void refuse(const QualifiedName& table, const std::string& why, const std::string& next)
{
    throw RefusedError({"keyshift ddl: " + table.to_string(), why, next});
}

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

QualifiedName table_of_index(pg::Connection& node, const QualifiedName& index)
{
    const pg::Result rows = node.query(
        "SELECT n.nspname, t.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class t ON t.oid = i.indrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace WHERE i.indexrelid = pg_catalog.to_regclass($1)",
        {index.quoted()});
    if (rows.rows() == 0) {
        refuse(index, "node " + node.name() + " has no such index", "`keyshift doctor` says where nodes differ.");
    }
    return {std::string(rows.text(0, 0)), std::string(rows.text(0, 1))};
}

/// Distributed, or a reference table.
const CapturedTable& on_every_node(const std::vector<CapturedTable>& all, const QualifiedName& name)
{
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const CapturedTable& table) { return table.name == name; });
    if (found == all.end()) {
        const auto root = std::find_if(all.begin(), all.end(), [&](const CapturedTable& table) {
            return !table.group.empty() && table.name.schema == name.schema &&
                   name.name.starts_with(table.name.name + "_b");
        });
        if (root != all.end()) {
            refuse(name, "it is a leaf of " + root->name.to_string() + ", and all leaves are alike",
                   "Name the table itself.");
        }
        refuse(name, "it is no distributed table", "Run the statement yourself on the node that has it.");
    }
    if (found->group.empty() && !found->reference) {
        refuse(name, "it is not distributed: node " + found->node + " alone has it",
               "Run the statement there yourself; its stream follows.");
    }
    if (!found->captured) {
        refuse(name, "it belongs to a projection, whose SELECT defines it",
               "Make the projection anew with another SELECT.");
    }
    return *found;
}

void check_columns(const CapturedTable& table, const DdlStatement& statement)
{
    const auto key_column = [&](const std::vector<std::string>& names, const char* doing) {
        for (const std::string& name : names) {
            if (contains(table.key_columns, name)) {
                refuse(
                    table.name,
                    fmt::format("column {} is in its shard key ({}), and {} it would put its rows into other buckets",
                                name, join(table.key_columns), doing),
                    "The key stays as it is; another key is another table, filled from this one.");
            }
        }
    };
    key_column(statement.dropped_columns, "dropping");
    key_column(statement.retyped_columns, "changing");
    for (const std::string& name : statement.renamed_columns) {
        if (contains(table.key_columns, name)) {
            refuse(
                table.name,
                fmt::format("column {} is in its shard key ({}), which the catalog and the routing of every node name",
                            name, join(table.key_columns)),
                "Keep the name; a view can show the column under another one.");
        }
    }
}

void check_keys(const CapturedTable& table, const DdlStatement& statement)
{
    for (const DdlStatement::Key& key : statement.new_keys) {
        const bool whole = std::all_of(table.key_columns.begin(), table.key_columns.end(),
                                       [&](const std::string& column) { return contains(key.columns, column); });
        if (!whole) {
            refuse(table.name,
                   fmt::format("{} ({}) does not include the shard key ({}), so no node can enforce it alone", key.kind,
                               join(key.columns), join(table.key_columns)),
                   fmt::format("Add the shard key to it: ({}).", join(table.key_columns)));
        }
    }
}

void check_foreign_keys(const std::vector<CapturedTable>& all, const CapturedTable& table,
                        const DdlStatement& statement)
{
    for (const DdlStatement::ForeignKey& key : statement.new_foreign_keys) {
        const auto referenced =
            std::find_if(all.begin(), all.end(), [&](const CapturedTable& one) { return one.name == key.referenced; });
        if (referenced != all.end() && referenced->reference) {
            continue; // its rows are on every node
        }
        const bool together = referenced != all.end() && referenced->group == table.group;
        const bool whole = std::all_of(table.key_columns.begin(), table.key_columns.end(),
                                       [&](const std::string& column) { return contains(key.columns, column); });
        if (!together || !whole) {
            refuse(table.name,
                   fmt::format("a foreign key ({}) to {} could point at a row on another node", join(key.columns),
                               key.referenced.to_string()),
                   fmt::format(
                       "It may point at reference tables, and at tables of group {} with the shard key ({}) in it.",
                       table.group, join(table.key_columns)));
        }
    }
}

/// What its copies have otherwise than the home, and what they get by its events.
void check_reference(const CapturedTable& table, const DdlStatement& statement)
{
    if (statement.kind == DdlStatement::Kind::truncate) {
        refuse(table.name, "it is a reference table, whose copies follow its home",
               fmt::format("Run TRUNCATE on node {} itself.", table.node));
    }
    if (statement.makes_trigger) {
        refuse(table.name, "it is a reference table: its triggers fire on its home, not once more on each copy",
               fmt::format("Create the trigger on node {} itself.", table.node));
    }
    if (!statement.new_foreign_keys.empty()) {
        refuse(table.name, "it is a reference table, and foreign keys of its copies are DEFERRABLE",
               fmt::format("Add it on node {} as it is, on the other nodes with DEFERRABLE INITIALLY DEFERRED.",
                           table.node));
    }
}

void check_dropped_constraints(pg::Connection& node, const CapturedTable& table, const DdlStatement& statement)
{
    for (const std::string& name : statement.dropped_constraints) {
        const pg::Result rows = node.query(
            "SELECT contype FROM pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass($1) AND conname = $2",
            {table.name.quoted(), name});
        if (rows.rows() > 0 && rows.text(0, 0) == "p" && !statement.adds_primary_key) {
            refuse(table.name, "its events are keyed by the primary key, and moves find its rows by it",
                   "Add the new primary key in the same statement: DROP CONSTRAINT ..., ADD PRIMARY KEY (...).");
        }
    }
}

/// A projection is made from the events of the table: what takes its rows or columns from under it is refused.
void check_projections(pg::Connection& catalog, const CapturedTable& table, const DdlStatement& statement)
{
    const pg::Result rows = catalog.query(
        "SELECT coalesce(p.part_of, p.name), c ->> 'name' FROM keyshift.projection p, jsonb_array_elements(p.definition -> 'base_columns') c "
        "WHERE p.definition -> 'base' ->> 'schema' = $1 AND p.definition -> 'base' ->> 'table' = $2 ORDER BY p.id",
        {table.name.schema, table.name.name});
    for (int row = 0; row < rows.rows(); ++row) {
        const std::string projection(rows.text(row, 0));
        const std::string column(rows.text(row, 1));
        // Names it follows.
        if (contains(statement.dropped_columns, column) || contains(statement.retyped_columns, column)) {
            refuse(table.name, "projection " + projection + " is made from column " + column,
                   "Drop the projection first: `keyshift projection drop " + projection + "`.");
        }
    }
}

} // namespace

DdlTarget check_ddl(pg::Connection& catalog, std::vector<OpenNode>& nodes, const DdlStatement& statement)
{
    const std::vector<CapturedTable> all = tables(catalog);
    std::vector<QualifiedName> names = statement.tables;
    for (const QualifiedName& index : statement.indexes) {
        for (OpenNode& node : nodes) {
            names.push_back(table_of_index(*node.connection, index));
        }
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    DdlTarget target;
    for (const QualifiedName& name : names) {
        const CapturedTable& table = on_every_node(all, name);
        if (table.strict && statement.row_security) {
            refuse(name, "it is strict, which is row security too",
                   fmt::format("`keyshift table strict {0} --off`, then this, then `keyshift table strict {0}`.",
                               name.to_string()));
        }
        if (table.reference) {
            check_reference(table, statement);
        }
        check_columns(table, statement);
        check_keys(table, statement);
        check_projections(catalog, table, statement);
        check_foreign_keys(all, table, statement);
        check_dropped_constraints(*nodes.front().connection, table, statement);
        target.tables.push_back(table);
        if (!table.reference && !contains(target.groups, table.group)) {
            target.groups.push_back(table.group);
        }
    }
    return target;
}

} // namespace keyshift::catalog
