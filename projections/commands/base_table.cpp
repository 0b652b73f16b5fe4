#include "projections/commands/base_table.hpp"

#include "core/bucket_map.hpp"
#include "core/error.hpp"
#include "projections/commands/aggregate_definition.hpp"
#include "projections/select_tree.hpp"
#include "projections/value_codec.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

/// A member is told of under the name of its projection: no user has heard of `name__m2`.
[[noreturn]] void refuse(const std::string& name, const std::string& why, const std::string& next)
{
    const std::string whole = projection_of_member(name);
    throw RefusedError({"creating projection " + (whole.empty() ? name : whole), why, next});
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

/// pgoutput leaves generated columns out: the rows that are there would be shown, and no event could be.
void refuse_generated(const CreateRequest& request, const ParsedSelect& select, const catalog::TableDefinition& base,
                      const std::string& name)
{
    const auto column = std::ranges::find(base.columns, name, &catalog::ColumnDefinition::name);
    if (column != base.columns.end() && column->generated != 0) {
        refuse_at(request.name, select, place_of(select, name),
                  "column " + name + " is generated, and change events do not carry generated columns",
                  "Write its expression in its place: " + column->default_expression + " AS " + quote_identifier(name) +
                      ".");
    }
}

/// The types from that of column $2 of table $1 down to the one that is no domain, with their modifiers.
constexpr const char* kBelowDomains =
    "WITH RECURSIVE t AS (SELECT a.atttypid AS id, a.atttypmod AS modifier FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attname = $2 AND a.attnum > 0 "
    "    AND NOT a.attisdropped UNION ALL SELECT d.typbasetype, CASE WHEN d.typtypmod >= 0 THEN d.typtypmod ELSE t.modifier END FROM t JOIN pg_type d ON d.oid = t.id "
    "    WHERE d.typtype = 'd') ";

BaseColumn read_column(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                       const catalog::TableDefinition& base, const std::string& name)
{
    const QualifiedName& table = base.name;
    refuse_generated(request, select, base, name);
    const pg::Result row = node.query(
        std::string(kBelowDomains) +
            "SELECT (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attname = $2), "
            "       CASE WHEN coalesce(e.typtype, b.typtype) = 'e' THEN 'enum' ELSE coalesce(e.typname, b.typname) END, t.modifier, e.oid IS NOT NULL "
            "FROM t JOIN pg_type b ON b.oid = t.id AND b.typtype <> 'd' LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'",
        {table.quoted(), name});
    if (row.rows() == 0 && name == select.alias) {
        refuse_at(request.name, select, place_of(select, name),
                  name + " is the whole row, whose columns change with the table", "Name the columns.");
    }
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

/// As format_type writes it, without its domains: what a key's hash depends on.
std::string plain_type(pg::Connection& node, const QualifiedName& table, const std::string& column)
{
    return std::string(
        node.query(
                std::string(kBelowDomains) +
                    "SELECT format_type(b.oid, t.modifier) FROM t JOIN pg_type b ON b.oid = t.id AND b.typtype <> 'd'",
                {table.quoted(), column})
            .text(0, 0));
}

/// An expression for the label of an enum's value: a cast to text is not immutable, since labels can be renamed.
std::string label_of(pg::Connection& node, const QualifiedName& table, const std::string& column)
{
    return std::string(
        node.query(
                std::string(kBelowDomains) +
                    "SELECT format('CASE %I %s END', $2::text, string_agg(format('WHEN %1$L THEN %1$L', e.enumlabel), ' ' ORDER BY e.enumsortorder)) "
                    "FROM t JOIN pg_enum e ON e.enumtypid = t.id",
                {table.quoted(), column})
            .text(0, 0));
}

[[noreturn]] void refuse_key_type(pg::Connection& node, const CreateRequest& request, const Definition& definition,
                                  const BaseColumn& column)
{
    const std::string why = "a key of type " + column.type + " is not supported";
    if (column.type_name == "enum" && !column.array && column.computed.empty()) {
        refuse(request.name, why + ": the hash of an enum is that of an OID, which differs from node to node",
               fmt::format("Select its label and make that the key: SELECT {} AS label, ... (a label that is added "
                           "later needs `keyshift projection rebuild` with it)",
                           label_of(node, definition.base, column.name)));
    }
    refuse(
        request.name, why,
        "Keys are boolean, smallint, integer, bigint, numeric(p, s), uuid, text, varchar, character(n), bytea, date, "
        "time, timestamp, timestamptz, inet, cidr, macaddr, or domains over them; an expression may be cast to one.");
}

/// The key as a column that no event has.
BaseColumn computed_column(const CreateRequest& request, const Definition& definition, const ParsedSelect& select,
                           std::size_t selected)
{
    BaseColumn column;
    column.name = fmt::format("_ks_key{}", definition.key.size() + 1);
    column.type = definition.columns[selected].type;
    column.computed = select.expressions[selected];
    column.computed_from = columns_of_expression(column.computed);
    if (column.computed_from.empty()) {
        refuse(request.name, "the key column " + select.columns[selected].name + " is the same for every row",
               "Key the projection by something that tells its rows apart.");
    }
    return column;
}

void check_key(pg::Connection& node, const CreateRequest& request, Definition& definition, const ParsedSelect& select)
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
        std::string base = selected->base_column;
        if (base.empty()) {
            const auto at = static_cast<std::size_t>(selected - select.columns.begin());
            const BaseColumn& made =
                definition.base_columns.emplace_back(computed_column(request, definition, select, at));
            base = made.name;
        }
        const BaseColumn& column = definition.base_columns[definition.base_column(base)];
        const std::string type = column.computed.empty() ? plain_type(node, definition.base, base) : column.type;
        if (!definition.everywhere && (!key_type(type) || column.array)) {
            refuse_key_type(node, request, definition, column);
        }
        definition.key.push_back(name);
        definition.key_base.push_back(base);
        definition.key_types.push_back(type);
    }
}

} // namespace

std::string projection_of_member(const std::string& name)
{
    const std::size_t mark = name.rfind("__m");
    const bool is_member =
        mark != std::string::npos && name.find_first_not_of("0123456789", mark + 3) == std::string::npos;
    return is_member ? name.substr(0, mark) : "";
}

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
    for (const std::string& name : definition.key_base) {
        const BaseColumn& column = definition.base_columns[definition.base_column(name)];
        const std::string has_key =
            (column.computed.empty() ? quote_identifier(definition.alias) + "." + quote_identifier(name)
                                     : "(" + column.computed + ")") +
            " IS NOT NULL";
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
    check_key(node, request, definition, select);
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

} // namespace keyshift::projections
