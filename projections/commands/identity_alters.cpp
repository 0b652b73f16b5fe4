#include "projections/commands/identity_alters.hpp"

#include "catalog/table_definition.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<QualifiedName> leaves_of(const catalog::CapturedTable& table, const BucketLayout& buckets)
{
    if (table.group.empty()) {
        return {table.name};
    }
    std::vector<QualifiedName> leaves;
    for (const BucketId bucket : buckets.numbers()) {
        leaves.push_back(catalog::leaf_name(table.name, bucket));
    }
    return leaves;
}

/// Whether the replica identity of one table (a leaf) carries all the columns.
bool identity_carries(pg::Connection& node, const QualifiedName& leaf, const std::vector<std::string>& columns)
{
    const pg::Result row = node.query(
        "SELECT c.relreplident, coalesce((SELECT array_to_json(array_agg(a.attname)) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
        "WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END)::text, '[]') FROM pg_class c WHERE c.oid = $1::regclass",
        {leaf.quoted()});
    if (row.text(0, 0) == "f") {
        return true;
    }
    const auto held = nlohmann::json::parse(row.text(0, 1)).get<std::vector<std::string>>();
    return row.text(0, 0) != "n" && std::all_of(columns.begin(), columns.end(),
                                                [&](const std::string& column) { return contains(held, column); });
}

/// An index cannot be the identity where a column may be NULL.
std::vector<std::string> full_identity(const catalog::CapturedTable& table)
{
    std::vector<std::string> alters{fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL", table.name.quoted())};
    if (!table.group.empty()) {
        alters.push_back(fmt::format(
            "DO $$ DECLARE l record; BEGIN FOR l IN SELECT i.inhrelid::regclass AS leaf FROM pg_catalog.pg_inherits i "
            "WHERE i.inhparent = {}::regclass LOOP EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY FULL', l.leaf); "
            "COMMIT; END LOOP; END $$",
            quote_literal(table.name.quoted())));
    }
    return alters;
}

bool not_null(pg::Connection& node, const QualifiedName& table, const std::string& column)
{
    return node
        .query("SELECT attnotnull FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2",
               {table.quoted(), column})
        .boolean(0, 0);
}

} // namespace

std::vector<std::string> needed_alters(pg::Connection& node, Definition& definition,
                                       const catalog::CapturedTable& table, const BucketLayout& buckets,
                                       const std::vector<std::string>& other_keys)
{
    std::vector<std::string> alters;
    std::vector<std::string> columns = definition.pk;
    for (const std::string& column : other_keys) {
        if (!contains(columns, column)) {
            columns.push_back(column);
        }
    }
    bool may_be_null = false;
    for (const std::string& column : key_sources(definition)) {
        if (not_null(node, table.name, column)) {
            // as an index of the replica identity needs it
        } else if (definition.skip_null) {
            may_be_null = true;
        } else {
            alters.push_back(fmt::format("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table.name.quoted(),
                                         quote_identifier(column)));
        }
        if (!contains(columns, column)) {
            columns.push_back(column);
        }
    }
    const std::string index = fmt::format("{}_identity", definition.name);
    const std::vector<QualifiedName> leaves = leaves_of(table, buckets);
    if (std::all_of(leaves.begin(), leaves.end(),
                    [&](const QualifiedName& leaf) { return identity_carries(node, leaf, columns); })) {
        const QualifiedName left{table.name.schema, index};
        if (!node.query("SELECT to_regclass($1)", {left.quoted()}).is_null(0, 0)) {
            definition.identity_indexes = {index}; // made by a create that was killed
        }
        return alters;
    }
    if (may_be_null) {
        definition.identity_full = true;
        return full_identity(table);
    }
    definition.identity_indexes = {index};
    std::string list;
    for (const std::string& column : columns) {
        list += (list.empty() ? "" : ", ") + quote_identifier(column);
    }
    alters.push_back(fmt::format("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})", quote_identifier(index),
                                 table.name.quoted(), list));
    if (!table.group.empty()) {
        // New leaves, and the copies that moves make, take their identity from the root.
        alters.push_back(fmt::format("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", table.name.quoted(),
                                     quote_identifier(index)));
        // One leaf a transaction: held together, these locks and those of an application's transaction would be a deadlock.
        alters.push_back(fmt::format(
            "DO $$ DECLARE l record; BEGIN FOR l IN SELECT x.indrelid::regclass AS leaf, c.relname AS index FROM pg_catalog.pg_inherits i "
            "JOIN pg_catalog.pg_index x ON x.indexrelid = i.inhrelid JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = {}::regclass "
            "LOOP EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', l.leaf, l.index); COMMIT; END LOOP; END $$",
            quote_literal(QualifiedName{table.name.schema, index}.quoted())));
    } else {
        alters.push_back(fmt::format("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", table.name.quoted(),
                                     quote_identifier(index)));
    }
    return alters;
}

} // namespace keyshift::projections
