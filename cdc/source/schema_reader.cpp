#include "cdc/source/schema_reader.hpp"

#include "catalog/catalog.hpp"
#include "cdc/source/default_literal.hpp"
#include "cdc/source/schema_look.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace keyshift::cdc {

namespace {

/// The bucket whose leaf has this name: also one that was made by a split of which the catalog does not tell yet.
std::optional<BucketId> bucket_by_name(const QualifiedName& root, const QualifiedName& leaf)
{
    const std::size_t digits = leaf.name.find_last_not_of("0123456789") + 1;
    std::uint32_t number = 0;
    const char* end = leaf.name.data() + leaf.name.size();
    if (std::from_chars(leaf.name.data() + digits, end, number).ec != std::errc() || number >= BucketLayout::kFinest) {
        return std::nullopt;
    }
    const auto bucket = static_cast<BucketId>(number);
    return catalog::leaf_name(root, bucket) == leaf ? std::optional(bucket) : std::nullopt;
}

void note_change(SchemaReader::Observation& found, const pg::Result& rows, int row, int column)
{
    if (!rows.is_null(row, column)) {
        const auto xid = static_cast<std::uint32_t>(rows.integer(row, column));
        found.changed_by = found.changed_by == 0 || precedes(found.changed_by, xid) ? xid : found.changed_by;
    }
}

} // namespace

std::optional<SchemaReader::Place> SchemaReader::locate(const Relation& relation, const CapturedTables& tables)
{
    if (relation.name.schema == "keyshift") {
        return std::nullopt;
    }
    if (auto known = locate_known(relation, tables)) {
        return known;
    }
    // A relation that has the captured table's own name holds its rows itself (not, or not yet, distributed).
    if (const auto own = tables.by_name.find(relation.name); own != tables.by_name.end()) {
        note(relation.oid, {own->second.id, true});
        return Place{own->second.id, relation.name, "", BucketId{0}};
    }
    if (const auto parent = top_parent(relation.oid); parent && tables.by_name.contains(*parent)) {
        const catalog::CapturedTable& table = tables.by_name.at(*parent);
        if (table.group.empty()) {
            note(relation.oid, {table.id, false});
            return Place{table.id, *parent, "", BucketId{0}};
        }
    }
    // By name, not by the present partition tree: the WAL may be older than the tree.
    for (const auto& [root, table] : tables.by_name) {
        if (!tables.groups.contains(table.group) || root.schema != relation.name.schema) {
            continue;
        }
        if (const auto bucket = bucket_by_name(root, relation.name)) {
            return Place{table.id, root, table.group, *bucket};
        }
    }
    return std::nullopt;
}

std::optional<SchemaReader::Place> SchemaReader::locate_known(const Relation& relation,
                                                              const CapturedTables& tables) const
{
    const auto known = history_ == nullptr ? std::nullopt : history_->relation(relation.oid);
    if (!known) {
        return std::nullopt;
    }
    const auto table =
        std::ranges::find(tables.by_name, known->table_id, [](const auto& one) { return one.second.id; });
    if (table == tables.by_name.end()) {
        return std::nullopt;
    }
    if (!known->own) {
        return Place{known->table_id, table->first, "", BucketId{0}};
    }
    if (relation.name != table->first && table->second.group.empty()) {
        history_->renamed(known->table_id, relation.name);
    }
    return Place{known->table_id, relation.name, "", BucketId{0}};
}

void SchemaReader::note(std::uint32_t oid, const KnownRelation& relation)
{
    if (history_ != nullptr) {
        history_->note(oid, relation);
    }
}

void SchemaReader::note_relations(const CapturedTables& tables, const std::string& publication)
{
    const pg::Result rows = node_.query(
        "SELECT r.prrelid::bigint, n.nspname, c.relname, t.relid::bigint FROM pg_catalog.pg_publication p "
        "JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid JOIN pg_catalog.pg_class c ON c.oid = r.prrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN LATERAL pg_catalog.pg_partition_tree(c.oid) t ON c.relkind = 'p' AND t.isleaf WHERE p.pubname = $1",
        {publication});
    for (int row = 0; row < rows.rows(); ++row) {
        const auto table = tables.by_name.find({std::string(rows.text(row, 1)), std::string(rows.text(row, 2))});
        if (table == tables.by_name.end() || !table->second.group.empty()) {
            continue;
        }
        if (!rows.is_null(row, 3)) {
            note(static_cast<std::uint32_t>(rows.integer(row, 3)), {table->second.id, false});
        } else if (!history_->relation(static_cast<std::uint32_t>(rows.integer(row, 0)))) {
            note(static_cast<std::uint32_t>(rows.integer(row, 0)), {table->second.id, true});
        }
    }
}

SchemaReader::Observation SchemaReader::observe(const Relation& relation, const QualifiedName& root)
{
    Observation found;
    TableSchema& table = found.table;
    table.root = root;
    table.identity = relation.identity;
    for (const RelationColumn& column : relation.columns) {
        ColumnSchema schema;
        schema.name = column.name;
        schema.type = types_.read(column.type_oid, column.type_modifier);
        schema.identity = column.identity;
        table.columns.push_back(std::move(schema));
    }
    found.known.resize(table.columns.size(), false);
    const std::uint32_t oid = table_oid(relation, root);
    const std::shared_ptr<const Relation> today = describe(oid, relation.name);
    found.same = today && same_look(*today, relation);
    read_columns(oid, found);
    read_key(oid, found);
    if (relation.name != root) {
        read_order(root, found.table);
    }
    return found;
}

std::shared_ptr<const TableSchema> SchemaReader::share(TableSchema table)
{
    std::shared_ptr<const TableSchema>& latest = latest_[table.root];
    if (!latest || !same_schema(*latest, table)) {
        table.version = ++versions_;
        latest = std::make_shared<const TableSchema>(std::move(table));
    }
    return latest;
}

std::shared_ptr<const TableSchema> SchemaReader::read(const Relation& relation, const QualifiedName& root)
{
    TableSchema table = observe(relation, root).table;
    check_identity(relation, table, node_.name());
    return share(std::move(table));
}

Lsn SchemaReader::present_position()
{
    return node_.query("SELECT pg_catalog.pg_current_wal_insert_lsn()").lsn(0, 0);
}

std::shared_ptr<const Relation> SchemaReader::describe(const QualifiedName& table)
{
    const pg::Result found = node_.query("SELECT pg_catalog.to_regclass($1)::oid::bigint", {table.quoted()});
    return found.is_null(0, 0) ? nullptr : describe(static_cast<std::uint32_t>(found.integer(0, 0)), table);
}

std::shared_ptr<const Relation> SchemaReader::describe(std::uint32_t oid, const QualifiedName& name)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result rows = node_.run_prepared(
        "cdc relation",
        "SELECT c.relreplident, a.attname, a.atttypid::bigint, a.atttypmod, "
        "c.relreplident = 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey) "
        "AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.oid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
        parameters);
    if (rows.rows() == 0) {
        return nullptr;
    }
    auto relation = std::make_shared<Relation>();
    relation->oid = oid;
    relation->name = name;
    relation->identity = rows.text(0, 0).front();
    for (int row = 0; row < rows.rows(); ++row) {
        relation->columns.push_back({std::string(rows.text(row, 1)), static_cast<std::uint32_t>(rows.integer(row, 2)),
                                     static_cast<std::int32_t>(rows.integer(row, 3)), rows.boolean(row, 4)});
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

void SchemaReader::read_columns(std::uint32_t oid, Observation& found)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result rows = node_.run_prepared(
        "cdc columns",
        "SELECT a.attname, a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.xmin, d.xmin, "
        "(SELECT e.xmin FROM pg_catalog.pg_enum e WHERE e.enumtypid = a.atttypid ORDER BY pg_catalog.age(e.xmin) LIMIT 1) "
        "FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped",
        parameters);
    for (int row = 0; row < rows.rows(); ++row) {
        for (const int xmin : {3, 4, 5}) {
            note_change(found, rows, row, xmin);
        }
        const auto column = std::ranges::find(found.table.columns, rows.text(row, 0), &ColumnSchema::name);
        if (column == found.table.columns.end()) {
            continue;
        }
        found.known[static_cast<std::size_t>(column - found.table.columns.begin())] = true;
        column->not_null = rows.boolean(row, 1);
        if (!rows.is_null(row, 2)) {
            const std::string_view expression = rows.text(row, 2);
            column->has_default = !expression.starts_with("NULL::");
            column->default_literal = default_literal(expression);
            column->default_call = is_call(expression);
        }
    }
}

void SchemaReader::read_order(const QualifiedName& root, TableSchema& partition)
{
    const std::string name = root.quoted();
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(name)};
    const pg::Result rows = node_.run_prepared("cdc order",
                                               "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = "
                                               "pg_catalog.to_regclass($1) AND attnum > 0 ORDER BY attnum",
                                               parameters);
    std::vector<std::size_t> order;
    for (int row = 0; row < rows.rows(); ++row) {
        const auto column = std::ranges::find(partition.columns, rows.text(row, 0), &ColumnSchema::name);
        if (column != partition.columns.end()) {
            order.push_back(static_cast<std::size_t>(column - partition.columns.begin()));
        }
    }
    if (order.size() == partition.columns.size() && !std::ranges::is_sorted(order)) {
        partition.order = std::move(order);
    }
}

void SchemaReader::read_key(std::uint32_t oid, Observation& found)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result rows = node_.run_prepared(
        "cdc key",
        "WITH fit AS (SELECT i.*, i.xmin AS changed_by FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = $1::oid AND (i.indisprimary OR i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)) "
        "ORDER BY i.indisprimary DESC, i.indisreplident DESC, c.relname LIMIT 1) "
        "SELECT a.attname, fit.changed_by FROM fit CROSS JOIN unnest(fit.indkey) WITH ORDINALITY AS k(attnum, place) "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = fit.indrelid AND a.attnum = k.attnum "
        "WHERE NOT fit.indisprimary OR k.place <= fit.indnkeyatts ORDER BY k.place",
        parameters);
    for (int row = 0; row < rows.rows(); ++row) {
        note_change(found, rows, row, 1);
        const auto column = std::ranges::find(found.table.columns, rows.text(row, 0), &ColumnSchema::name);
        if (column == found.table.columns.end()) {
            found.key_complete = false;
        } else {
            found.table.key.push_back(static_cast<std::size_t>(column - found.table.columns.begin()));
        }
    }
}

} // namespace keyshift::cdc
