#include "projections/select_parser.hpp"

#include "core/json.hpp"
#include "projections/forbidden.hpp"
#include "projections/select_tree.hpp"
#include "projections/sql_text.hpp"

#include <algorithm>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

class Classifier {
public:
    explicit Classifier(const std::string& sql) : sql_(sql), select_(parse_select_tree(sql)) {}

    ParsedSelect classify()
    {
        parsed_.sql = sql_;
        refuse_clauses();
        read_table();
        for (const Json& target : select_.at("targetList")) {
            read_target(target.at("ResTarget"));
        }
        if (is_aggregated(select_)) {
            read_groups();
        }
        parsed_.shown_columns = parsed_.used_columns;
        if (select_.contains("whereClause")) {
            in_condition_ = true;
            walk(select_.at("whereClause"));
        }
        const std::string text = canonical(sql_);
        split(text);
        if (is_aggregated(select_)) {
            parsed_.aggregation = parse_aggregation(sql_, text, parsed_.expressions);
        }
        parsed_.text = text;
        return std::move(parsed_);
    }

private:
    void refuse_clauses() const
    {
        refuse_unkept_clauses(sql_, select_);
        if (!select_.contains("fromClause") || !select_.contains("targetList")) {
            refuse_at(sql_, 0, "it reads no table", "Write it as SELECT column, ... FROM table [WHERE ...].");
        }
    }

    void read_table()
    {
        const Json& from = select_.at("fromClause");
        if (from.size() != 1 || !from.front().contains("RangeVar")) {
            refuse_at(sql_, first_location(from.front()), "sub-selects and functions in FROM are not supported",
                      "Read captured tables.");
        }
        const Json& table = from.front().at("RangeVar");
        parsed_.table_place = location_of(table);
        if (!table.value("inh", false)) {
            refuse_at(sql_, parsed_.table_place, "ONLY leaves the partitions out, and they hold the rows",
                      "Leave ONLY out.");
        }
        parsed_.schema = table.value("schemaname", "");
        parsed_.table = table.at("relname");
        parsed_.alias = table.contains("alias") ? table.at("alias").at("aliasname").get<std::string>() : parsed_.table;
    }

    void read_target(const Json& target)
    {
        const Json& value = target.at("val");
        SelectedColumn column;
        if (value.contains("ColumnRef") && !value.at("ColumnRef").at("fields").back().contains("A_Star")) {
            column.base_column = column_of(value.at("ColumnRef"));
            column.name = column.base_column;
        }
        walk(value);
        column.name = target.value("name", column.name);
        if (column.name.empty()) {
            refuse_at(sql_, location_of(target), "the expression has no name", "Name it with AS.");
        }
        const auto same = [&](const SelectedColumn& other) {
            return other.name == column.name;
        };
        if (std::any_of(parsed_.columns.begin(), parsed_.columns.end(), same)) {
            refuse_at(sql_, location_of(target), "two columns are called " + column.name, "Rename one with AS.");
        }
        if (column.name.starts_with('_')) {
            refuse_at(sql_, location_of(target), "names that begin with _ are the projection's own",
                      "Rename it with AS.");
        }
        parsed_.columns.push_back(std::move(column));
    }

    /// GROUP BY may name an output column, which is no column of the table.
    void read_groups()
    {
        for (const Json& item : select_.value("groupClause", Json::array())) {
            const bool named =
                item.contains("ColumnRef") && item.at("ColumnRef").at("fields").size() == 1 &&
                std::any_of(select_.at("targetList").begin(), select_.at("targetList").end(), [&](const Json& target) {
                    return target.at("ResTarget").value("name", "") ==
                           item.at("ColumnRef").at("fields").front().at("String").at("sval");
                });
            if (!named) {
                walk(item);
            }
        }
        if (select_.contains("havingClause")) {
            walk(select_.at("havingClause"));
        }
    }

    std::string column_of(const Json& reference) const
    {
        const Json& fields = reference.at("fields");
        if (fields.size() > 1 && fields.at(fields.size() - 2).contains("String") &&
            fields.at(fields.size() - 2).at("String").at("sval") != parsed_.alias) {
            refuse_at(sql_, location_of(reference),
                      "the SELECT has no table called " +
                          fields.at(fields.size() - 2).at("String").at("sval").get<std::string>(),
                      "Say " + parsed_.alias + ", or nothing.");
        }
        return fields.back().at("String").at("sval");
    }

    void walk(const Json& node)
    {
        if (node.is_array()) {
            for (const Json& inner : node) {
                walk(inner);
            }
        }
        if (!node.is_object()) {
            return;
        }
        for (const auto& [name, inner] : node.items()) {
            refuse_node(sql_, name, std::max(first_location(inner), first_location(node)));
            if (name == "ColumnRef") {
                note_column(column_of(checked_star(inner)), location_of(inner));
            } else if (name == "FuncCall") {
                refuse_calls(inner);
                walk(inner);
            } else {
                walk(inner);
            }
        }
    }

    const Json& checked_star(const Json& reference) const
    {
        if (reference.at("fields").back().contains("A_Star")) {
            refuse_node(sql_, "A_Star", location_of(reference));
        }
        return reference;
    }

    void refuse_calls(const Json& call) const
    {
        if (call.contains("over")) {
            refuse_node(sql_, "WindowFunc", location_of(call));
        }
        if (in_condition_ && is_aggregate_call(call)) {
            refuse_at(sql_, location_of(call), "WHERE chooses rows, before there are any groups",
                      "Say in HAVING what a group must have.");
        }
    }

    void note_column(const std::string& column, std::size_t place)
    {
        parsed_.column_places.emplace(column, place);
        if (std::find(parsed_.used_columns.begin(), parsed_.used_columns.end(), column) == parsed_.used_columns.end()) {
            parsed_.used_columns.push_back(column);
        }
    }

    /// Cuts the canonical text "SELECT list FROM table [alias] [WHERE condition]" into its parts.
    void split(const std::string& text)
    {
        const Json select = parse_select_tree(text);
        const std::size_t table = location_of(select.at("fromClause").front().at("RangeVar"));
        constexpr std::string_view kSelect = "SELECT ";
        constexpr std::string_view kFrom = " FROM ";
        constexpr std::string_view kWhere = " WHERE ";
        parsed_.select_list = text.substr(kSelect.size(), table - kFrom.size() - kSelect.size());
        const Json& targets = select.at("targetList");
        for (std::size_t at = 0; at < targets.size(); ++at) {
            const Json& target = targets.at(at).at("ResTarget");
            const std::size_t begin = location_of(target);
            const std::size_t end =
                at + 1 < targets.size() ? location_of(targets.at(at + 1).at("ResTarget")) - 2 : table - kFrom.size();
            std::string expression = text.substr(begin, end - begin);
            if (target.contains("name")) {
                expression.resize(expression.rfind(" AS "));
            }
            parsed_.expressions.push_back(std::move(expression));
        }
        if (select.contains("whereClause")) {
            const std::size_t begin = text.find(kWhere, table) + kWhere.size();
            const std::size_t end =
                std::min(find_outside(text, " GROUP BY ", begin), find_outside(text, " HAVING ", begin));
            parsed_.condition = text.substr(begin, end - begin);
        }
    }

    const std::string& sql_;
    Json select_;
    bool in_condition_ = false;
    ParsedSelect parsed_;
};

} // namespace

ParsedSelect parse_select(const std::string& sql)
{
    return Classifier(sql).classify();
}

} // namespace keyshift::projections
