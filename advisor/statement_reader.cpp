#include "advisor/statement_reader.hpp"

#include "core/json.hpp"

#include <algorithm>

namespace keyshift::advisor {

using Json = nlohmann::json;

namespace {

bool depends_on_row(const Json& node)
{
    if (node.is_object()) {
        for (const char* name : {"ColumnRef", "SubLink", "SetToDefault", "A_Star"}) {
            if (node.contains(name)) {
                return true;
            }
        }
    }
    return node.is_structured() && std::any_of(node.begin(), node.end(), depends_on_row);
}

/// A new value at each call, which only the server knows.
bool makes_value(const Json& node)
{
    static constexpr std::string_view kMakers[] = {
        "nextval",          "gen_random_uuid", "uuid_generate_v1", "uuid_generate_v1mc",
        "uuid_generate_v4", "uuidv4",          "uuidv7",           "random"};
    if (node.is_object() && node.contains("FuncCall")) {
        const std::string name = node.at("FuncCall").at("funcname").back().at("String").at("sval");
        if (std::find(std::begin(kMakers), std::end(kMakers), name) != std::end(kMakers)) {
            return true;
        }
    }
    return node.is_structured() && std::any_of(node.begin(), node.end(), makes_value);
}

Json without_places(const Json& node)
{
    Json copy = node;
    if (copy.is_object()) {
        copy.erase("location");
    }
    if (copy.is_structured()) {
        for (Json& inner : copy) {
            inner = without_places(inner);
        }
    }
    return copy;
}

bool is_equals(const Json& expression)
{
    const Json& name = expression.at("name");
    return name.back().at("String").at("sval") == "=";
}

bool is_system(const Json& range)
{
    const std::string schema = range.value("schemaname", "");
    const std::string name = range.at("relname");
    return schema.starts_with("pg_") || schema == "information_schema" || schema == "keyshift" ||
           (schema.empty() && name.starts_with("pg_"));
}

} // namespace

std::optional<std::string> value_of(const Json& node)
{
    if (node.contains("TypeCast")) {
        return value_of(node.at("TypeCast").at("arg"));
    }
    if (node.contains("ParamRef")) {
        return "$" + std::to_string(node.at("ParamRef").value("number", 0));
    }
    if (depends_on_row(node) || makes_value(node)) {
        return std::nullopt;
    }
    return without_places(node).dump();
}

Statement StatementReader::read(const Json& statement)
{
    statement_ = {};
    read_any(statement, nullptr);
    if (statement.contains("SelectStmt") && !saw_system_table_) {
        statement_.shapes = read_shapes(statement.at("SelectStmt"), statement_, tables_);
    }
    return std::move(statement_);
}

void StatementReader::read_any(const Json& statement, const NameScope* outer)
{
    if (statement.contains("SelectStmt")) {
        read_select(statement.at("SelectStmt"), outer);
    } else if (statement.contains("InsertStmt")) {
        read_insert(statement.at("InsertStmt"), outer);
    } else if (statement.contains("UpdateStmt")) {
        read_change(statement.at("UpdateStmt"), Statement::Kind::update, outer);
    } else if (statement.contains("DeleteStmt")) {
        read_change(statement.at("DeleteStmt"), Statement::Kind::erase, outer);
    } else {
        // What reads or writes rows in a way that is not followed; all the rest is no matter of rows.
        static constexpr std::pair<const char*, const char*> kUnread[] = {
            {"MergeStmt", "MERGE"},       {"CopyStmt", "COPY"},       {"DeclareCursorStmt", "a cursor"},
            {"PrepareStmt", "PREPARE"},   {"ExplainStmt", "EXPLAIN"}, {"CreateTableAsStmt", "CREATE TABLE AS"},
            {"TruncateStmt", "TRUNCATE"}, {"CallStmt", "CALL"},       {"DoStmt", "DO"},
            {"ExecuteStmt", "EXECUTE"}};
        for (const auto& [node, name] : kUnread) {
            if (statement.contains(node)) {
                throw Unreadable{std::string(name) + " is not read"};
            }
        }
    }
}

void StatementReader::read_with(const Json& statement, NameScope& scope)
{
    if (!statement.contains("withClause")) {
        return;
    }
    for (const Json& entry : statement.at("withClause").at("ctes")) {
        const Json& query = entry.at("CommonTableExpr");
        if (statement.at("withClause").value("recursive", false)) {
            scope.with_queries.insert(query.at("ctename"));
        }
        read_any(query.at("ctequery"), &scope);
        scope.with_queries.insert(query.at("ctename"));
    }
}

void StatementReader::read_select(const Json& select, const NameScope* outer)
{
    NameScope scope{outer, {}, {}, {}};
    read_with(select, scope);
    for (const char* side : {"larg", "rarg"}) {
        if (select.contains(side)) {
            read_select(select.at(side), &scope);
        }
    }
    const std::size_t first = statement_.uses.size();
    for (const Json& item : select.value("fromClause", Json::array())) {
        read_from(item, scope);
    }
    const Range all{first, statement_.uses.size()};
    if (select.contains("whereClause")) {
        read_condition(select.at("whereClause"), all, scope);
    }
    for (const char* clause : {"targetList", "whereClause", "groupClause", "havingClause", "sortClause",
                               "distinctClause", "limitCount", "limitOffset", "windowClause", "valuesLists"}) {
        if (select.contains(clause)) {
            walk(select.at(clause), scope);
        }
    }
}

std::size_t StatementReader::add_use(const Json& range, NameScope& scope, bool written)
{
    const auto table = find_table(tables_, range);
    if (!table) {
        throw Unreadable{"it names " + range.at("relname").get<std::string>() + ", which is no table here"};
    }
    const std::string alias =
        range.contains("alias") ? range.at("alias").at("aliasname").get<std::string>() : table->name;
    statement_.uses.push_back({*table, alias, written});
    scope.uses.push_back(statement_.uses.size() - 1);
    return statement_.uses.size() - 1;
}

StatementReader::Range StatementReader::read_from(const Json& item, NameScope& scope)
{
    const std::size_t first = statement_.uses.size();
    if (item.contains("RangeVar")) {
        const Json& range = item.at("RangeVar");
        const std::string name = range.at("relname");
        if (!range.contains("schemaname") && scope.is_with_query(name)) {
            scope.derived.insert(range.contains("alias") ? range.at("alias").at("aliasname").get<std::string>() : name);
        } else if (is_system(range)) {
            saw_system_table_ = true;
            scope.derived.insert(range.contains("alias") ? range.at("alias").at("aliasname").get<std::string>() : name);
        } else {
            add_use(range, scope, false);
        }
    } else if (item.contains("JoinExpr")) {
        return read_join(item.at("JoinExpr"), scope);
    } else {
        const Json& derived = item.front();
        scope.derived.insert(derived.contains("alias") ? derived.at("alias").at("aliasname").get<std::string>() : "");
        walk(item, scope);
    }
    return {first, statement_.uses.size()};
}

StatementReader::Range StatementReader::read_join(const Json& join, NameScope& scope)
{
    const Range left = read_from(join.at("larg"), scope);
    const Range right = read_from(join.at("rarg"), scope);
    const std::string kind = join.at("jointype");
    const Range bound = kind == "JOIN_INNER"   ? Range{left.first, right.second}
                        : kind == "JOIN_LEFT"  ? right
                        : kind == "JOIN_RIGHT" ? left
                                               : Range{};
    if (join.contains("quals")) {
        read_condition(join.at("quals"), bound, scope);
        walk(join.at("quals"), scope);
    }
    const auto side = [&](const Range& range, const std::string& column) {
        std::vector<std::size_t> among;
        for (std::size_t use = range.first; use < range.second; ++use) {
            among.push_back(use);
        }
        return only_with_column(tables_, statement_.uses, among, column);
    };
    for (const Json& name : join.value("usingClause", Json::array())) {
        const std::string column = name.at("String").at("sval");
        const auto one = side(left, column);
        const auto other = side(right, column);
        if (one && other) {
            statement_.columns.insert({*one, *other});
            add_equality(*one, *other, bound);
        }
    }
    return {left.first, right.second};
}

void StatementReader::add_equality(UseColumn left, UseColumn right, Range bound)
{
    const auto within = [&](const UseColumn& column) {
        return column.use >= bound.first && column.use < bound.second;
    };
    Equality equality;
    equality.binds_left = within(left);
    equality.binds_right = within(right);
    equality.left = std::move(left);
    equality.right = std::move(right);
    statement_.equalities.push_back(std::move(equality));
}

std::optional<UseColumn> StatementReader::column_of(const Json& node, const NameScope& scope) const
{
    return node.contains("ColumnRef") ? find_column(tables_, statement_.uses, scope, node.at("ColumnRef"))
                                      : std::nullopt;
}

void StatementReader::read_condition(const Json& condition, Range bound, const NameScope& scope)
{
    if (condition.contains("BoolExpr") && condition.at("BoolExpr").at("boolop") == "AND_EXPR") {
        for (const Json& part : condition.at("BoolExpr").at("args")) {
            read_condition(part, bound, scope);
        }
    } else if (condition.contains("A_Expr") && is_equals(condition.at("A_Expr"))) {
        const Json& expression = condition.at("A_Expr");
        const std::string kind = expression.at("kind");
        if (!expression.contains("lexpr")) {
            return;
        }
        if (kind == "AEXPR_OP") {
            read_comparison(expression.at("lexpr"), expression.at("rexpr"), bound, scope);
        } else if (kind == "AEXPR_IN" || kind == "AEXPR_OP_ANY") {
            read_list(expression.at("lexpr"), expression.at("rexpr"), bound, scope);
        }
    }
}

void StatementReader::read_comparison(const Json& left, const Json& right, Range bound, const NameScope& scope)
{
    if (left.contains("RowExpr") && right.contains("RowExpr")) {
        const Json& lefts = left.at("RowExpr").at("args");
        const Json& rights = right.at("RowExpr").at("args");
        for (std::size_t at = 0; at < std::min(lefts.size(), rights.size()); ++at) {
            read_comparison(lefts[at], rights[at], bound, scope);
        }
        return;
    }
    const auto one = column_of(left, scope);
    const auto other = column_of(right, scope);
    if (one && other) {
        add_equality(*one, *other, bound);
        return;
    }
    const auto& column = one ? one : other;
    const auto value = value_of(one ? right : left);
    if (column && value && column->use >= bound.first && column->use < bound.second) {
        statement_.equalities.push_back({*column, std::nullopt, *value, false, true, false});
    }
}

void StatementReader::read_list(const Json& left, const Json& right, Range bound, const NameScope& scope)
{
    const auto column = column_of(left, scope);
    const auto value = value_of(right);
    if (!column || !value || column->use < bound.first || column->use >= bound.second) {
        return;
    }
    if (right.contains("List") && right.at("List").at("items").size() == 1) {
        read_comparison(left, right.at("List").at("items").front(), bound, scope);
    } else {
        statement_.equalities.push_back({*column, std::nullopt, "in " + *value, true, true, false});
    }
}

void StatementReader::walk(const Json& node, const NameScope& scope)
{
    if (node.is_array()) {
        for (const Json& inner : node) {
            walk(inner, scope);
        }
    }
    if (!node.is_object()) {
        return;
    }
    for (const auto& [name, inner] : node.items()) {
        if (name == "ColumnRef") {
            if (const auto column = find_column(tables_, statement_.uses, scope, inner)) {
                statement_.columns.insert(*column);
            } else if (inner.at("fields").back().contains("A_Star")) {
                const bool all = inner.at("fields").size() == 1;
                for (const std::size_t use : scope.uses) {
                    if (all || inner.at("fields").front().value("/String/sval"_json_pointer, "") ==
                                   statement_.uses[use].alias) {
                        statement_.whole_rows.insert(use);
                    }
                }
            }
        } else if (name == "SelectStmt") {
            read_select(inner, &scope);
        } else {
            walk(inner, scope);
        }
    }
}

} // namespace keyshift::advisor
