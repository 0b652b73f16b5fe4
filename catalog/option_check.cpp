#include "catalog/option_check.hpp"

#include "catalog/rows.hpp"
#include "core/error.hpp"
#include "core/nearest_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace keyshift::catalog {

namespace {

using Column = OptionTable::Column;

const Column* find(const OptionTable& table, const std::string& name)
{
    const auto found = std::ranges::find(table.columns, name, &Column::name);
    return found == table.columns.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const OptionTable& table)
{
    std::vector<std::string> names;
    std::ranges::transform(table.columns, std::back_inserter(names), &Column::name);
    return names;
}

/// Texts that are nothing but text: a constant, a hash or a part is one of them too.
bool is_text(const Column& column)
{
    static constexpr std::array kNames{"text", "varchar", "bpchar", "char", "name", "citext"};
    return column.enumeration || std::ranges::find(kNames, column.type) != kNames.end();
}

void refuse_unknown(const std::string& what, const OptionTable& table, const std::vector<std::string>& former,
                    const CaptureOptions& options)
{
    for (const std::string& name : options.named()) {
        if (find(table, name) != nullptr || std::ranges::find(former, name) != former.end()) {
            continue;
        }
        const std::vector<std::string> known = names_of(table);
        const std::string nearest = nearest_name(name, known);
        throw RefusedError(
            {what, fmt::format("the table has no column {}", name),
             nearest.empty() ? "Its columns: " + join(known) + "." : fmt::format("Did you mean {}?", nearest)});
    }
}

void refuse_types(const std::string& what, const OptionTable& table, const CaptureOptions& options)
{
    for (const Column& column : table.columns) {
        const bool cut = options.truncate.contains(column.name);
        if (!options.alters(column.name) || is_text(column) || (cut && column.type == "bytea")) {
            continue;
        }
        throw RefusedError({what,
                            fmt::format("column {} is of type {}: a {} is no value of it", column.name, column.type,
                                        cut                                  ? "part"
                                        : options.mask.contains(column.name) ? "constant text"
                                                                             : "hash"),
                            fmt::format("Leave it out: --exclude-columns {}.", column.name)});
    }
}

void refuse_hidden_keys(const std::string& what, const OptionTable& table, const CaptureOptions& options)
{
    for (const Column& column : table.columns) {
        if (column.row_key && !options.shows(column.name)) {
            throw RefusedError(
                {what, fmt::format("column {} is in the table's key: without it an event names no row", column.name),
                 fmt::format("Keep it; a list in --include-columns has {} in it.", column.name)});
        }
        if (column.row_key && options.alters(column.name)) {
            throw RefusedError({what,
                                fmt::format("column {} is in the table's key, which shows its values: they cannot be "
                                            "masked, hashed or cut",
                                            column.name),
                                "Give the table a key of columns that may be seen."});
        }
    }
}

void refuse_absent_keys(const std::string& what, const OptionTable& table, const CaptureOptions& options)
{
    for (const std::string& name : options.key) {
        const Column* column = find(table, name);
        if (column == nullptr || !column->identity) {
            throw RefusedError(
                {what,
                 fmt::format("column {} is not in the replica identity: the WAL has no old value of it, so the message "
                             "key of an updated or deleted row is not known",
                             name),
                 fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL; (on every node, and on each leaf where it is "
                             "partitioned), or an index that has {} too.",
                             table.name.quoted(), name)});
        }
    }
}

} // namespace

OptionTable read_option_table(pg::Connection& node, const QualifiedName& name)
{
    const pg::Result rows = node.query(
        "WITH leaf AS (SELECT l.relid AS oid FROM pg_catalog.pg_partition_tree($1::regclass) l WHERE l.isleaf "
        "UNION SELECT $1::regclass), "
        "key AS (SELECT i.indkey, i.indisprimary, i.indnkeyatts FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = $1::regclass AND (i.indisprimary OR i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute k WHERE k.attrelid = i.indrelid AND k.attnum = ANY (i.indkey) AND NOT k.attnotnull)) "
        "ORDER BY i.indisprimary DESC, i.indisreplident DESC, c.relname LIMIT 1) "
        "SELECT a.attname, b.typname, b.typtype = 'e', "
        "NOT EXISTS (SELECT FROM leaf JOIN pg_catalog.pg_class l ON l.oid = leaf.oid WHERE l.relkind = 'r' AND l.relreplident <> 'f' "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute k ON k.attrelid = i.indrelid "
        "AND k.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) WHERE i.indrelid = l.oid AND k.attname = a.attname "
        "AND CASE l.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)), "
        "EXISTS (SELECT FROM key WHERE a.attnum = ANY (CASE WHEN key.indisprimary THEN (key.indkey::int2[])[0:key.indnkeyatts - 1] "
        "ELSE key.indkey::int2[] END)) "
        "FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL (WITH RECURSIVE d AS (SELECT a.atttypid AS oid UNION ALL "
        "SELECT t.typbasetype FROM d JOIN pg_catalog.pg_type t ON t.oid = d.oid WHERE t.typtype = 'd') "
        "SELECT t.typname, t.typtype FROM d JOIN pg_catalog.pg_type t ON t.oid = d.oid WHERE t.typtype <> 'd') b "
        "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
        {name.quoted()});
    OptionTable table{name, {}};
    for (int row = 0; row < rows.rows(); ++row) {
        table.columns.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1)), rows.boolean(row, 2),
                                 rows.boolean(row, 3), rows.boolean(row, 4)});
    }
    return table;
}

void check_options(const std::string& what, const OptionTable& table, const std::vector<std::string>& former,
                   const CaptureOptions& options)
{
    refuse_unknown(what, table, former, options);
    refuse_types(what, table, options);
    refuse_hidden_keys(what, table, options);
    refuse_absent_keys(what, table, options);
}

} // namespace keyshift::catalog
