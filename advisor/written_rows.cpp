#include "advisor/statement_reader.hpp"

#include "core/json.hpp"

#include <algorithm>

namespace keyshift::advisor {

using Json = nlohmann::json;

namespace {

std::vector<std::string> inserted_columns(const Json& insert, const TableStatistics& table)
{
    std::vector<std::string> columns;
    if (insert.contains("cols")) {
        for (const Json& column : insert.at("cols")) {
            columns.push_back(column.at("ResTarget").at("name"));
        }
    } else {
        for (const ColumnStatistics& column : table.columns) {
            columns.push_back(column.name);
        }
    }
    return columns;
}

} // namespace

void StatementReader::read_values(std::size_t use, const std::vector<std::string>& columns, const Json& lists,
                                  const NameScope& scope)
{
    for (const Json& list : lists) {
        const Json& items = list.at("List").at("items");
        for (std::size_t at = 0; at < std::min(columns.size(), items.size()); ++at) {
            if (auto value = value_of(items[at])) {
                const bool several = lists.size() > 1;
                statement_.equalities.push_back(
                    {{use, columns[at]}, std::nullopt, several ? "in rows" : *value, several, true, false});
            }
        }
        walk(items, scope);
    }
}

void StatementReader::read_insert(const Json& insert, const NameScope* outer)
{
    NameScope scope{outer, {}, {}, {}};
    read_with(insert, scope);
    if (outer == nullptr) {
        statement_.kind = Statement::Kind::insert;
    }
    const std::size_t use = add_use(insert.at("relation"), scope, true);
    const std::vector<std::string> columns = inserted_columns(insert, tables_.at(statement_.uses[use].table));
    const Json select = insert.contains("selectStmt") ? insert.at("selectStmt").at("SelectStmt") : Json::object();
    if (select.contains("valuesLists")) {
        read_values(use, columns, select.at("valuesLists"), scope);
    } else if (select.contains("targetList")) {
        NameScope inner;
        const std::size_t first = statement_.uses.size();
        read_select(select, &scope);
        // The rows written are those of the SELECT: a column taken from one of its tables has the same values.
        for (std::size_t at = first; at < statement_.uses.size(); ++at) {
            inner.uses.push_back(at);
        }
        const Json& targets = select.at("targetList");
        for (std::size_t at = 0; at < std::min(columns.size(), targets.size()); ++at) {
            const Json& value = targets[at].at("ResTarget").at("val");
            if (const auto source = column_of(value, inner)) {
                add_equality({use, columns[at]}, *source, {use, use + 1});
            } else if (const auto constant = value_of(value)) {
                statement_.equalities.push_back({{use, columns[at]}, std::nullopt, *constant, false, true, false});
            }
        }
    }
    walk(insert.value("returningList", Json::array()), scope);
}

void StatementReader::read_change(const Json& change, Statement::Kind kind, const NameScope* outer)
{
    NameScope scope{outer, {}, {}, {}};
    read_with(change, scope);
    if (outer == nullptr) {
        statement_.kind = kind;
    }
    const std::size_t first = statement_.uses.size();
    const std::size_t use = add_use(change.at("relation"), scope, true);
    for (const char* clause : {"fromClause", "usingClause"}) {
        for (const Json& item : change.value(clause, Json::array())) {
            read_from(item, scope);
        }
    }
    if (change.contains("whereClause")) {
        read_condition(change.at("whereClause"), {first, statement_.uses.size()}, scope);
        walk(change.at("whereClause"), scope);
    }
    for (const Json& target : change.value("targetList", Json::array())) {
        statement_.assigned.insert({use, target.at("ResTarget").at("name").get<std::string>()});
    }
    for (const char* clause : {"targetList", "returningList"}) {
        walk(change.value(clause, Json::array()), scope);
    }
}

} // namespace keyshift::advisor
