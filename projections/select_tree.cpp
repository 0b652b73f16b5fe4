#include "projections/select_tree.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "projections/sql_text.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <pg_query.h>

namespace keyshift::projections {

using Json = nlohmann::json;

void refuse_at(const std::string& sql, std::size_t location, const std::string& why, const std::string& next)
{
    throw RefusedError({"reading the projection's SQL", why + "\n" + with_caret(sql, location), next});
}

Json parse_select_tree(const std::string& sql)
{
    PgQueryParseResult result = pg_query_parse(sql.c_str());
    const std::unique_ptr<PgQueryParseResult, void (*)(PgQueryParseResult*)> release(
        &result, [](PgQueryParseResult* held) { pg_query_free_parse_result(*held); });
    if (result.error != nullptr) {
        refuse_at(sql, static_cast<std::size_t>(std::max(result.error->cursorpos - 1, 0)), result.error->message,
                  "Correct the SQL; it is PostgreSQL's own grammar.");
    }
    const Json tree = Json::parse(result.parse_tree);
    if (tree.at("stmts").size() != 1) {
        refuse_at(sql, tree.at("stmts").empty() ? 0 : tree.at("stmts").back().value("stmt_location", 0U),
                  "a projection is one SELECT", "Give one statement.");
    }
    const Json& statement = tree.at("stmts").front().at("stmt");
    if (!statement.contains("SelectStmt")) {
        refuse_at(sql, 0, "it is not a SELECT", "Write it as SELECT column, ... FROM table [WHERE ...].");
    }
    return statement.at("SelectStmt");
}

namespace {

/// Where two trees differ in anything but places and spelling: the place in `node`, nullopt when they are the same.
std::optional<std::size_t> first_difference(const Json& node, const Json& other, std::size_t place)
{
    if (node.is_object() && other.is_object() && node.size() == other.size()) {
        place = node.contains("location") ? location_of(node) : place;
        for (const auto& [name, inner] : node.items()) {
            if (name == "location" || name == "funcformat") {
                continue;
            }
            if (!other.contains(name)) {
                return place;
            }
            if (const auto found = first_difference(inner, other.at(name), place)) {
                return found;
            }
        }
        return std::nullopt;
    }
    if (node.is_array() && other.is_array() && node.size() == other.size()) {
        for (std::size_t at = 0; at < node.size(); ++at) {
            if (const auto found = first_difference(node[at], other[at], place)) {
                return found;
            }
        }
        return std::nullopt;
    }
    return node == other ? std::nullopt : std::optional(place);
}

/// Some brackets do not survive being written back: (a AND b) IS NULL would become a AND (b IS NULL).
void refuse_other_meaning(const std::string& sql, const std::string& text)
{
    PgQueryParseResult again = pg_query_parse(text.c_str());
    const bool readable = again.error == nullptr;
    pg_query_free_parse_result(again);
    const Json tree = parse_select_tree(sql);
    const auto place = readable ? first_difference(tree, parse_select_tree(text), 0) : std::optional(std::size_t{0});
    if (place) {
        refuse_at(
            sql, *place, "brackets here would be lost when the expression is written back, and its meaning with them",
            "Write it so that it needs none: a function in place of an operator, as in timezone('UTC', at)::date for "
            "(at AT TIME ZONE 'UTC')::date.");
    }
}

} // namespace

namespace {

void collect_columns(const Json& node, std::vector<std::string>& columns)
{
    if (node.is_object() && node.contains("ColumnRef")) {
        const std::string name = node.at("ColumnRef").at("fields").back().at("String").at("sval");
        if (std::find(columns.begin(), columns.end(), name) == columns.end()) {
            columns.push_back(name);
        }
        return;
    }
    if (node.is_object() || node.is_array()) {
        for (const Json& inner : node) {
            collect_columns(inner, columns);
        }
    }
}

} // namespace

std::vector<std::string> columns_of_expression(const std::string& expression)
{
    std::vector<std::string> columns;
    collect_columns(parse_select_tree("SELECT " + expression), columns);
    return columns;
}

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
    refuse_other_meaning(sql, text);
    return text;
}

std::size_t location_of(const Json& node)
{
    const auto location = node.value("location", 0);
    return location < 0 ? 0 : static_cast<std::size_t>(location);
}

std::size_t first_location(const Json& node)
{
    if (node.is_object() && node.contains("location")) {
        return location_of(node);
    }
    if (node.is_object() || node.is_array()) {
        for (const Json& inner : node) {
            if (const std::size_t found = first_location(inner); found != 0) {
                return found;
            }
        }
    }
    return 0;
}

} // namespace keyshift::projections
