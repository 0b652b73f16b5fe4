#include "advisor/statement_reader.hpp"

#include "core/json.hpp"

#include <memory>
#include <pg_query.h>

namespace keyshift::advisor {

using Json = nlohmann::json;

namespace {

struct Parsed {
    Json statements;
    std::string error;
};

Parsed parse(const std::string& sql)
{
    PgQueryParseResult result = pg_query_parse(sql.c_str());
    const std::unique_ptr<PgQueryParseResult, void (*)(PgQueryParseResult*)> release(
        &result, [](PgQueryParseResult* held) { pg_query_free_parse_result(*held); });
    if (result.error != nullptr) {
        return {Json::array(), result.error->message};
    }
    // A statement nested beyond reason is deeper than the reader of JSON goes.
    const Json tree = Json::parse(result.parse_tree, nullptr, false);
    return tree.is_discarded() ? Parsed{Json::array(), "it is nested too deeply"} : Parsed{tree.at("stmts"), {}};
}

/// PostgreSQL 18 counts lists of any length as one statement, and leaves a comment where the rest was.
std::string with_lists(std::string sql)
{
    constexpr std::string_view kRest = "/*, ... */";
    for (std::size_t at = sql.find(kRest); at != std::string::npos; at = sql.find(kRest, at)) {
        sql.replace(at, kRest.size(), ", NULL");
    }
    return sql;
}

} // namespace

ReadStatement read_statement(const std::string& sql, const Tables& tables)
{
    const Parsed parsed = parse(with_lists(sql));
    if (!parsed.error.empty()) {
        return {std::nullopt, parsed.error, false};
    }
    if (parsed.statements.size() != 1) {
        return {std::nullopt, parsed.statements.empty() ? "its text is gone" : "it is more than one statement", false};
    }
    StatementReader reader(tables);
    try {
        Statement statement = reader.read(parsed.statements.front().at("stmt"));
        if (statement.uses.empty()) {
            return {std::nullopt, "it touches no table", true};
        }
        return {std::move(statement), {}, false};
    } catch (const Unreadable& unreadable) {
        return {std::nullopt, unreadable.why, false};
    }
}

} // namespace keyshift::advisor
