#include "catalog/sql_tree.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <algorithm>
#include <memory>
#include <pg_query.h>

namespace keyshift::catalog {

nlohmann::json parse_statement(const std::string& sql, const std::string& what)
{
    PgQueryParseResult result = pg_query_parse(sql.c_str());
    const std::unique_ptr<PgQueryParseResult, void (*)(PgQueryParseResult*)> release(
        &result, [](PgQueryParseResult* held) { pg_query_free_parse_result(*held); });
    if (result.error != nullptr) {
        const auto place = static_cast<std::size_t>(std::max(result.error->cursorpos - 1, 0));
        throw RefusedError({what, std::string(result.error->message) + "\n" + marked(sql, place),
                            "Correct the SQL; it is PostgreSQL's own grammar."});
    }
    const nlohmann::json statements = nlohmann::json::parse(result.parse_tree).at("stmts");
    if (statements.size() != 1) {
        throw RefusedError({what, statements.empty() ? "there is no statement" : "it is more than one statement",
                            "Give one statement at a time."});
    }
    return statements.front().at("stmt");
}

std::string marked(const std::string& sql, std::size_t place)
{
    place = std::min(place, sql.size());
    const std::size_t before = place == 0 ? std::string::npos : sql.rfind('\n', place - 1);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    std::string line = sql.substr(begin, std::min(sql.find('\n', place), sql.size()) - begin);
    std::replace(line.begin(), line.end(), '\t', ' ');
    const auto columns = std::count_if(sql.begin() + static_cast<std::ptrdiff_t>(begin),
                                       sql.begin() + static_cast<std::ptrdiff_t>(place),
                                       [](char byte) { return (byte & 0xC0) != 0x80; });
    return "    " + line + "\n    " + std::string(static_cast<std::size_t>(columns), ' ') + "^";
}

} // namespace keyshift::catalog
