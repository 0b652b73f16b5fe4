#include "projections/select_parser.hpp"

#include "core/error.hpp"
#include "core/handle.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>
#include <pg_query.h>
#include <set>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& sql, std::size_t location, const std::string& why, const std::string& next)
{
    throw RefusedError({"reading the projection's SQL", why + "\n" + with_caret(sql, location), next});
}

std::size_t location_of(const Json& node)
{
    return node.value("location", 0U);
}

Json parse_tree(const std::string& sql)
{
    PgQueryParseResult result = pg_query_parse(sql.c_str());
    const std::unique_ptr<PgQueryParseResult, void (*)(PgQueryParseResult*)> release(
        &result, [](PgQueryParseResult* held) { pg_query_free_parse_result(*held); });
    if (result.error != nullptr) {
        refuse(sql, static_cast<std::size_t>(std::max(result.error->cursorpos - 1, 0)), result.error->message,
               "Correct the SQL; it is PostgreSQL's own grammar.");
    }
    return Json::parse(result.parse_tree);
}

/// The same statement as PostgreSQL's parser would write it: no comments, one line.
std::string canonical(const std::string& sql)
{
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(sql.c_str());
    PgQueryDeparseResult written = pg_query_deparse_protobuf(parsed.parse_tree);
    std::string text = written.query == nullptr ? "" : written.query;
    pg_query_free_deparse_result(written);
    pg_query_free_protobuf_parse_result(parsed);
    if (text.empty()) {
        throw RefusedError({"reading the projection's SQL", "it cannot be written back as SQL",
                            "Write it as SELECT column, ... FROM table [WHERE ...]."});
    }
    return text;
}

/// Nodes that no exact projection can have, with the reason and the way out.
struct Forbidden {
    const char* node;
    const char* why;
    const char* next;
};
constexpr Forbidden kForbidden[] = {
    {"SubLink", "a sub-select cannot be kept exact: its tables' changes would not reach this row",
     "Make a projection of its own for it."},
    {"WindowFunc", "a window function depends on other rows", "Compute it when reading the projection."},
    {"ParamRef", "a parameter has no value here", "Write the value."},
    {"SQLValueFunction", "its value changes with time or session, so the same row would not stay the same",
     "Store the value in a column of the table."},
    {"A_Star", "which columns * means changes with the table", "Name the columns."},
    {"GroupingFunc", "aggregates are not supported yet", "Select the rows themselves."},
};

class Classifier {
public:
    explicit Classifier(const std::string& sql) : sql_(sql), select_(select_of(parse_tree(sql))) {}

    ParsedSelect classify()
    {
        parsed_.sql = sql_;
        refuse_clauses();
        read_table();
        for (const Json& target : select_.at("targetList")) {
            read_target(target.at("ResTarget"));
        }
        if (select_.contains("whereClause")) {
            walk(select_.at("whereClause"));
        }
        split(canonical(sql_));
        return std::move(parsed_);
    }

private:
    Json select_of(const Json& tree) const
    {
        if (tree.at("stmts").size() != 1) {
            refuse(sql_, tree.at("stmts").empty() ? 0 : tree.at("stmts").back().value("stmt_location", 0U),
                   "a projection is one SELECT", "Give one statement.");
        }
        const Json& statement = tree.at("stmts").front().at("stmt");
        if (!statement.contains("SelectStmt")) {
            refuse(sql_, 0, "it is not a SELECT", "Write it as SELECT column, ... FROM table [WHERE ...].");
        }
        return statement.at("SelectStmt");
    }

    void refuse_clauses() const
    {
        static constexpr std::pair<const char*, const char*> kClauses[] = {
            {"distinctClause", "DISTINCT"}, {"groupClause", "GROUP BY"},     {"havingClause", "HAVING"},
            {"sortClause", "ORDER BY"},     {"limitCount", "LIMIT"},         {"limitOffset", "OFFSET"},
            {"withClause", "WITH"},         {"lockingClause", "FOR UPDATE"}, {"windowClause", "WINDOW"},
            {"intoClause", "INTO"},         {"valuesLists", "VALUES"}};
        if (select_.value("op", "SETOP_NONE") != "SETOP_NONE") {
            refuse(sql_, 0, "UNION, INTERSECT and EXCEPT are not supported yet",
                   "Make one projection for each SELECT.");
        }
        for (const auto& [field, name] : kClauses) {
            if (select_.contains(field)) {
                refuse(sql_, place(select_.at(field)),
                       std::string(name) +
                           " is not supported in a projection: it holds rows of one table under another key",
                       "Leave it out, and say it when reading the projection.");
            }
        }
        if (!select_.contains("fromClause") || !select_.contains("targetList")) {
            refuse(sql_, 0, "it reads no table", "Write it as SELECT column, ... FROM table [WHERE ...].");
        }
    }

    /// The first location in a part of the tree.
    static std::size_t place(const Json& node)
    {
        if (node.is_object()) {
            if (node.contains("location")) {
                return location_of(node);
            }
            for (const auto& [name, inner] : node.items()) {
                if (const std::size_t found = place(inner); found != 0) {
                    return found;
                }
            }
        } else if (node.is_array()) {
            for (const Json& inner : node) {
                if (const std::size_t found = place(inner); found != 0) {
                    return found;
                }
            }
        }
        return 0;
    }

    void read_table()
    {
        const Json& from = select_.at("fromClause");
        if (from.size() != 1 || !from.front().contains("RangeVar")) {
            refuse(sql_, place(from.size() > 1 ? from.at(1) : from.front()),
                   "joins and functions in FROM are not supported yet", "Read one captured table.");
        }
        const Json& table = from.front().at("RangeVar");
        parsed_.table_place = location_of(table);
        if (!table.value("inh", false)) {
            refuse(sql_, parsed_.table_place, "ONLY leaves the partitions out, and they hold the rows",
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
            refuse(sql_, location_of(target), "the expression has no name", "Name it with AS.");
        }
        const auto same = [&](const SelectedColumn& other) {
            return other.name == column.name;
        };
        if (std::any_of(parsed_.columns.begin(), parsed_.columns.end(), same)) {
            refuse(sql_, location_of(target), "two columns are called " + column.name, "Rename one with AS.");
        }
        if (column.name.starts_with('_')) {
            refuse(sql_, location_of(target), "names that begin with _ are the projection's own", "Rename it with AS.");
        }
        parsed_.columns.push_back(std::move(column));
    }

    std::string column_of(const Json& reference) const
    {
        const Json& fields = reference.at("fields");
        if (fields.size() > 1 && fields.at(fields.size() - 2).contains("String") &&
            fields.at(fields.size() - 2).at("String").at("sval") != parsed_.alias) {
            refuse(sql_, location_of(reference),
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
            refuse_forbidden(name, inner, node);
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
            refuse(sql_, location_of(reference), kForbidden[4].why, kForbidden[4].next);
        }
        return reference;
    }

    void refuse_forbidden(const std::string& name, const Json& inner, const Json& node) const
    {
        for (const Forbidden& forbidden : kForbidden) {
            if (name == forbidden.node) {
                refuse(sql_, std::max(place(inner), place(node)), forbidden.why, forbidden.next);
            }
        }
    }

    void refuse_calls(const Json& call) const
    {
        static const std::set<std::string> kAggregates{"count",   "sum",       "avg",        "min",
                                                       "max",     "array_agg", "string_agg", "bool_and",
                                                       "bool_or", "json_agg",  "jsonb_agg"};
        const std::string name = call.at("funcname").back().at("String").at("sval");
        if (call.contains("over")) {
            refuse(sql_, location_of(call), kForbidden[1].why, kForbidden[1].next);
        }
        if (kAggregates.contains(name) || call.value("agg_star", false) || call.contains("agg_order") ||
            call.contains("agg_filter")) {
            refuse(sql_, location_of(call), "aggregates are not supported yet", "Select the rows themselves.");
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
        const Json select = select_of(parse_tree(text));
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
            parsed_.condition = text.substr(text.find(kWhere, table) + kWhere.size());
        }
    }

    const std::string& sql_;
    Json select_;
    ParsedSelect parsed_;
};

} // namespace

std::string with_caret(const std::string& sql, std::size_t location)
{
    location = std::min(location, sql.size());
    const std::size_t before = sql.rfind('\n', location == 0 ? 0 : location - 1);
    const std::size_t begin = before == std::string::npos || location == 0 ? 0 : before + 1;
    const std::size_t end = std::min(sql.find('\n', location), sql.size());
    std::string line = sql.substr(begin, end - begin);
    std::replace(line.begin(), line.end(), '\t', ' ');
    const auto columns = std::count_if(sql.begin() + static_cast<std::ptrdiff_t>(begin),
                                       sql.begin() + static_cast<std::ptrdiff_t>(location),
                                       [](char byte) { return (byte & 0xC0) != 0x80; });
    return "    " + line + "\n    " + std::string(static_cast<std::size_t>(columns), ' ') + "^";
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& names)
{
    const auto distance = [&](const std::string& name) {
        std::vector<std::size_t> row(name.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (const char letter : typed) {
            std::size_t diagonal = row[0]++;
            for (std::size_t at = 1; at < row.size(); ++at) {
                const std::size_t replaced = diagonal + (letter == name[at - 1] ? 0 : 1);
                diagonal = row[at];
                row[at] = std::min({row[at] + 1, row[at - 1] + 1, replaced});
            }
        }
        return row.back();
    };
    std::size_t least = typed.size() / 3 + 2;
    std::string best;
    for (const std::string& name : names) {
        if (const std::size_t apart = distance(name); apart < least) {
            least = apart;
            best = name;
        }
    }
    return best.empty() ? "" : "Did you mean " + best + "? ";
}

ParsedSelect parse_select(const std::string& sql)
{
    return Classifier(sql).classify();
}

} // namespace keyshift::projections
