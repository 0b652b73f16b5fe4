#include "cdc/source/schema_reader.hpp"

#include "catalog/catalog.hpp"
#include "cdc/source/default_literal.hpp"
#include "cdc/source/same_schema.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace keyshift::cdc {

namespace {

/// The bucket whose leaf has this name.
std::optional<BucketId> bucket_by_name(const QualifiedName& root, const QualifiedName& leaf, std::uint32_t buckets)
{
    const std::size_t digits = leaf.name.find_last_not_of("0123456789") + 1;
    std::uint32_t number = 0;
    const char* end = leaf.name.data() + leaf.name.size();
    if (std::from_chars(leaf.name.data() + digits, end, number).ec != std::errc() || number >= buckets) {
        return std::nullopt;
    }
    const auto bucket = static_cast<BucketId>(number);
    return catalog::leaf_name(root, bucket) == leaf ? std::optional(bucket) : std::nullopt;
}

void check_identity(const Relation& relation, const TableSchema& table, const std::string& node)
{
    const bool complete =
        std::ranges::all_of(table.key, [&](std::size_t column) { return table.columns[column].identity; });
    if (relation.identity == 'i' && !complete) {
        throw FatalError(
            {fmt::format("capturing {} on {}", relation.name.to_string(), node),
             "its replica identity is an index that lacks a column of the primary key, so the key of an updated or "
             "deleted row is not in the WAL",
             fmt::format("ALTER TABLE {} REPLICA IDENTITY USING INDEX of an index that also has the primary key, or "
                         "REPLICA IDENTITY DEFAULT.",
                         relation.name.quoted())});
    }
}

} // namespace

std::optional<SchemaReader::Place> SchemaReader::locate(const Relation& relation, const CapturedTables& tables)
{
    if (relation.name.schema == "keyshift") {
        return std::nullopt;
    }
    // A relation that has the captured table's own name holds its rows itself (not, or not yet, distributed).
    if (tables.by_name.contains(relation.name)) {
        return Place{relation.name, "", BucketId{0}};
    }
    if (const auto parent = top_parent(relation.oid); parent && tables.by_name.contains(*parent)) {
        const catalog::CapturedTable& table = tables.by_name.at(*parent);
        if (table.group.empty()) {
            return Place{*parent, "", BucketId{0}};
        }
    }
    // By name, not by the present partition tree: the WAL may be older than the tree.
    for (const auto& [root, table] : tables.by_name) {
        const auto buckets = tables.buckets_of_group.find(table.group);
        if (buckets == tables.buckets_of_group.end() || root.schema != relation.name.schema) {
            continue;
        }
        if (const auto bucket = bucket_by_name(root, relation.name, buckets->second)) {
            return Place{root, table.group, *bucket};
        }
    }
    return std::nullopt;
}

std::shared_ptr<const TableSchema> SchemaReader::read(const Relation& relation, const QualifiedName& root)
{
    auto table = std::make_shared<TableSchema>();
    table->root = root;
    table->identity = relation.identity;
    for (const RelationColumn& column : relation.columns) {
        ColumnSchema schema;
        schema.name = column.name;
        schema.type = types_.read(column.type_oid, column.type_modifier);
        schema.identity = column.identity;
        table->columns.push_back(std::move(schema));
    }
    const std::uint32_t oid = table_oid(relation, root);
    read_columns(oid, *table);
    read_key(oid, *table);
    check_identity(relation, *table, node_.name());

    std::shared_ptr<const TableSchema>& latest = latest_[root];
    if (!latest || !same_schema(*latest, *table)) {
        table->version = ++versions_;
        latest = std::move(table);
    }
    return latest;
}

std::shared_ptr<const Relation> SchemaReader::describe(const QualifiedName& table)
{
    const std::string name = table.quoted();
    const pg::Result rows = node_.query(
        "SELECT c.oid::bigint, c.relreplident, a.attname, a.atttypid::bigint, a.atttypmod, "
        "c.relreplident = 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey) "
        "AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.oid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
        {name});
    if (rows.rows() == 0) {
        return nullptr;
    }
    auto relation = std::make_shared<Relation>();
    relation->oid = static_cast<std::uint32_t>(rows.integer(0, 0));
    relation->name = table;
    relation->identity = rows.text(0, 1).front();
    for (int row = 0; row < rows.rows(); ++row) {
        relation->columns.push_back({std::string(rows.text(row, 2)), static_cast<std::uint32_t>(rows.integer(row, 3)),
                                     static_cast<std::int32_t>(rows.integer(row, 4)), rows.boolean(row, 5)});
    }
    return relation;
}

std::optional<QualifiedName> SchemaReader::top_parent(std::uint32_t oid)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result rows = node_.run_prepared(
        "cdc parent",
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.oid = pg_catalog.pg_partition_root($1::oid::regclass)",
        parameters);
    if (rows.rows() == 0) {
        return std::nullopt;
    }
    return QualifiedName{std::string(rows.text(0, 0)), std::string(rows.text(0, 1))};
}

std::uint32_t SchemaReader::table_oid(const Relation& relation, const QualifiedName& root)
{
    const std::string oid = std::to_string(relation.oid);
    const std::string name = root.quoted();
    const pg::Result rows = node_.query("SELECT coalesce((SELECT oid FROM pg_catalog.pg_class WHERE oid = $1::oid), "
                                        "pg_catalog.to_regclass($2)::oid, 0)::bigint",
                                        {oid, name});
    return static_cast<std::uint32_t>(rows.integer(0, 0));
}

void SchemaReader::read_columns(std::uint32_t oid, TableSchema& table)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result rows = node_.run_prepared(
        "cdc columns",
        "SELECT a.attname, a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid) "
        "FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped",
        parameters);
    for (int row = 0; row < rows.rows(); ++row) {
        const auto column = std::ranges::find(table.columns, rows.text(row, 0), &ColumnSchema::name);
        if (column == table.columns.end()) {
            continue;
        }
        column->not_null = rows.boolean(row, 1);
        if (!rows.is_null(row, 2)) {
            const std::string_view expression = rows.text(row, 2);
            column->has_default = !expression.starts_with("NULL::");
            column->default_literal = default_literal(expression);
            column->default_call = is_call(expression);
        }
    }
}

void SchemaReader::read_key(std::uint32_t oid, TableSchema& table)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result rows = node_.run_prepared(
        "cdc key",
        "WITH fit AS (SELECT i.* FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = $1::oid AND (i.indisprimary OR i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)) "
        "ORDER BY i.indisprimary DESC, i.indisreplident DESC, c.relname LIMIT 1) "
        "SELECT a.attname FROM fit CROSS JOIN unnest(fit.indkey) WITH ORDINALITY AS k(attnum, place) "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = fit.indrelid AND a.attnum = k.attnum "
        "WHERE NOT fit.indisprimary OR k.place <= fit.indnkeyatts ORDER BY k.place",
        parameters);
    for (int row = 0; row < rows.rows(); ++row) {
        const auto column = std::ranges::find(table.columns, rows.text(row, 0), &ColumnSchema::name);
        if (column != table.columns.end()) {
            table.key.push_back(static_cast<std::size_t>(column - table.columns.begin()));
        }
    }
}

} // namespace keyshift::cdc
