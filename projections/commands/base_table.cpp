#include "projections/commands/base_table.hpp"

#include "core/bucket_map.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "projections/commands/aggregate_definition.hpp"
#include "projections/value_codec.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& why, const std::string& next)
{
    throw RefusedError({"creating projection " + name, why, next});
}

bool contains(const std::vector<std::string>& names, const std::string& name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// A refusal with the caret under a place of the definition.
[[noreturn]] void refuse_at(const std::string& name, const ParsedSelect& select, std::size_t place,
                            const std::string& why, const std::string& next)
{
    refuse(name, why + "\n" + with_caret(select.sql, place), next);
}

std::size_t place_of(const ParsedSelect& select, const std::string& column)
{
    const auto found = select.column_places.find(column);
    return found == select.column_places.end() ? 0 : found->second;
}

void check_round_trip(const CreateRequest& request, const ParsedSelect& select, const BaseColumn& column)
{
    if (const auto loss = lost_in_events(column)) {
        refuse_at(request.name, select, place_of(select, column.name),
                  "column " + column.name + " of type " + column.type + " " + loss->why, loss->next);
    }
}

BaseColumn read_column(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                       const catalog::TableDefinition& base, const std::string& name)
{
    const QualifiedName& table = base.name;
    const pg::Result row = node.query(
        "WITH RECURSIVE t AS (SELECT a.atttypid AS id, a.atttypmod AS modifier FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attname = $2 AND a.attnum > 0 "
        "    AND NOT a.attisdropped UNION ALL SELECT d.typbasetype, CASE WHEN d.typtypmod >= 0 THEN d.typtypmod ELSE t.modifier END FROM t JOIN pg_type d ON d.oid = t.id "
        "    WHERE d.typtype = 'd') "
        "SELECT (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attname = $2), "
        "       CASE WHEN coalesce(e.typtype, b.typtype) = 'e' THEN 'enum' ELSE coalesce(e.typname, b.typname) END, t.modifier, e.oid IS NOT NULL "
        "FROM t JOIN pg_type b ON b.oid = t.id AND b.typtype <> 'd' LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'",
        {table.quoted(), name});
    if (row.rows() == 0) {
        std::vector<std::string> names;
        for (const catalog::ColumnDefinition& column : base.columns) {
            names.push_back(column.name);
        }
        refuse_at(request.name, select, place_of(select, name), "table " + table.to_string() + " has no column " + name,
                  did_you_mean(name, names) + "`keyshift table show " + table.to_string() + "` lists its columns.");
    }
    BaseColumn column{name, std::string(row.text(0, 0)), std::string(row.text(0, 1)),
                      static_cast<std::int32_t>(row.integer(0, 2)), row.boolean(0, 3)};
    column.form = form_of(column.type_name, request.forms);
    check_round_trip(request, select, column);
    return column;
}

/// PostgreSQL itself tells the types of the columns, and refuses whatever is not immutable: as in an index, which has the
/// same need. Nothing of this stays.
std::vector<ProjectedColumn> ask_types(pg::Connection& node, const Definition& definition, const ParsedSelect& select)
{
    pg::Transaction transaction(node);
    const std::string from = fmt::format("{} AS {}", definition.base.quoted(), quote_identifier(definition.alias));
    const std::string where = definition.condition.empty() ? "" : " WHERE " + definition.condition;
    std::vector<ProjectedColumn> columns;
    try {
        node.script(
            fmt::format("CREATE TEMP VIEW keyshift_types AS SELECT {} FROM {}{}", definition.select_list, from, where));
        const pg::Result types = node.query(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pg_temp.keyshift_types'::regclass AND attnum > 0 ORDER BY attnum");
        for (int row = 0; row < types.rows(); ++row) {
            columns.push_back({std::string(types.text(row, 0)), std::string(types.text(row, 1))});
        }
        node.script(fmt::format("CREATE TEMP TABLE {} (LIKE {})", quote_identifier(definition.alias),
                                definition.base.quoted()));
        // A row of the whole list is immutable when each of its parts is.
        std::string predicate = fmt::format("ROW({}) IS NOT NULL", fmt::join(select.expressions, ", "));
        predicate += definition.condition.empty() ? "" : fmt::format(" AND ({})", definition.condition);
        node.script(
            fmt::format("CREATE INDEX ON pg_temp.{} ((1)) WHERE {}", quote_identifier(definition.alias), predicate));
    } catch (const pg::SqlError& error) {
        const bool changing = error.sqlstate() == "42P17";
        refuse(definition.name,
               changing ? "it uses something whose value changes with time, session or settings: " + error.parts().why
                        : error.parts().why,
               changing ? "Use immutable functions and operators only; store other values in a column."
                        : "Correct the SELECT.");
    }
    return columns;
}

void check_key(const CreateRequest& request, Definition& definition, const ParsedSelect& select)
{
    if (request.key.empty()) {
        refuse(request.name, "it has no key", "Name the columns it is sharded by: --key user_id.");
    }
    for (const std::string& name : request.key) {
        const auto selected = std::find_if(select.columns.begin(), select.columns.end(),
                                           [&](const SelectedColumn& column) { return column.name == name; });
        if (selected == select.columns.end()) {
            refuse(request.name, "the key column " + name + " is not selected",
                   "Select it, or name a column of the SELECT.");
        }
        if (selected->base_column.empty()) {
            refuse(request.name, "the key column " + name + " is an expression",
                   "Key the projection by a column of the table.");
        }
        const BaseColumn& column = definition.base_columns[definition.base_column(selected->base_column)];
        if (!definition.everywhere && (!key_type(column.type) || column.array)) {
            refuse(request.name, "a key of type " + column.type + " is not supported",
                   "Keys are smallint, integer, bigint, uuid, text, varchar, date or timestamptz.");
        }
        definition.key.push_back(name);
        definition.key_base.push_back(selected->base_column);
        const auto typed = std::find_if(definition.columns.begin(), definition.columns.end(),
                                        [&](const ProjectedColumn& shown) { return shown.name == name; });
        definition.key_types.push_back(typed->type);
    }
}

} // namespace

std::string form_of(const std::string& type, const EventForms& forms)
{
    return type == "numeric"                                         ? forms.decimal
           : type == "date" || type == "time" || type == "timestamp" ? forms.time
           : type == "bytea"                                         ? forms.binary
                                                                     : "";
}

catalog::CapturedTable find_base(pg::Connection& catalog, const ParsedSelect& select)
{
    std::vector<std::string> names;
    std::string known;
    for (const catalog::CapturedTable& table : catalog::tables(catalog)) {
        if (!table.captured) {
            continue;
        }
        if (table.name.name == select.table &&
            (select.schema.empty() ? table.name.schema == "public" : table.name.schema == select.schema)) {
            return table;
        }
        known += (known.empty() ? "" : ", ") + table.name.to_string();
        names.push_back(table.name.name);
    }
    throw RefusedError(
        {"reading the projection's SQL",
         "table " + (select.schema.empty() ? "" : select.schema + ".") + select.table + " is not captured\n" +
             with_caret(select.sql, select.table_place),
         did_you_mean(select.table, names) +
             (known.empty() ? "Capture or distribute it first: `keyshift table capture " + select.table + "`."
                            : "Captured are: " + known + ".")});
}

std::vector<catalog::Node> nodes_of(pg::Connection& catalog, const catalog::CapturedTable& table)
{
    std::vector<catalog::Node> nodes;
    for (catalog::Node& node : catalog::nodes(catalog)) {
        const bool active = node.state == "active" || node.state == "draining";
        if (active && (!table.group.empty() || table.node == node.name)) {
            nodes.push_back(std::move(node));
        }
    }
    return nodes;
}

namespace {

void leave_null_keys_out(Definition& definition)
{
    definition.skip_null = true;
    for (const std::string& column : definition.key_base) {
        const std::string has_key =
            quote_identifier(definition.alias) + "." + quote_identifier(column) + " IS NOT NULL";
        definition.condition =
            definition.condition.empty() ? has_key : fmt::format("({}) AND {}", definition.condition, has_key);
    }
}

Definition define_rows(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                       const catalog::CapturedTable& table, bool everywhere = false)
{
    Definition definition;
    definition.everywhere = everywhere;
    definition.name = request.name;
    definition.group = request.name;
    definition.view_schema = table.name.schema;
    definition.routed_as_schema = table.name.schema;
    definition.base = table.name;
    definition.alias = select.alias;
    definition.select_list = select.select_list;
    definition.condition = select.condition;
    const catalog::TableDefinition base = catalog::read_table(node, table.name);
    const catalog::ConstraintDefinition* primary = base.primary_key();
    if (primary == nullptr) {
        refuse(request.name,
               "table " + table.name.to_string() + " has no primary key, so its rows cannot be told apart",
               "ALTER TABLE " + table.name.quoted() + " ADD PRIMARY KEY (...)");
    }
    definition.pk = primary->columns;
    std::vector<std::string> used = select.used_columns;
    for (const std::string& column : definition.pk) {
        if (!contains(used, column)) {
            used.push_back(column);
        }
        const auto shown = std::find_if(select.columns.begin(), select.columns.end(),
                                        [&](const SelectedColumn& selected) { return selected.base_column == column; });
        definition.pk_names.push_back(shown == select.columns.end() ? "_pk_" + column : shown->name);
    }
    for (const std::string& column : used) {
        definition.base_columns.push_back(read_column(node, request, select, base, column));
    }
    definition.columns = ask_types(node, definition, select);
    check_key(request, definition, select);
    if (request.skip_null && !everywhere) {
        leave_null_keys_out(definition);
    }
    return definition;
}

} // namespace

Definition define(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                  const catalog::CapturedTable& table)
{
    if (!select.aggregation) {
        return define_rows(node, request, select, table);
    }
    CreateRequest rows = request;
    rows.key = base_key(request, select);
    Definition definition = define_rows(node, rows, rows_of_groups(request, select), table);
    definition.aggregation = define_aggregation(node, request, select, definition);
    return definition;
}

Definition define_member(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                         const catalog::CapturedTable& table, bool everywhere)
{
    return define_rows(node, request, select, table, everywhere);
}

namespace {

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
    for (const std::string& column : definition.key_base) {
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
