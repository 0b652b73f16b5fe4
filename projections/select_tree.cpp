#include "projections/select_tree.hpp"

#include "core/error.hpp"
#include "projections/sql_text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
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
