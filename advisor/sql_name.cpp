#include "advisor/sql_name.hpp"

#include <memory>
#include <pg_query.h>

namespace keyshift::advisor {

namespace {

/// Whether the parser takes the bare word for the name of a column and of a table.
bool is_plain(const std::string& name)
{
    if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos ||
        (name.front() >= '0' && name.front() <= '9')) {
        return false;
    }
    PgQueryParseResult result = pg_query_parse(("SELECT " + name + " FROM " + name + " AS " + name).c_str());
    const std::unique_ptr<PgQueryParseResult, void (*)(PgQueryParseResult*)> release(
        &result, [](PgQueryParseResult* held) { pg_query_free_parse_result(*held); });
    return result.error == nullptr && std::string(result.parse_tree).find("\"ColumnRef\"") != std::string::npos;
}

} // namespace

std::string sql_name(const std::string& name)
{
    return is_plain(name) ? name : quote_identifier(name);
}

std::string sql_name(const QualifiedName& table)
{
    return (table.schema == "public" ? "" : sql_name(table.schema) + ".") + sql_name(table.name);
}

std::string shell_word(const std::string& text)
{
    constexpr const char* kHarmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,-/:=@%+";
    if (!text.empty() && text.find_first_not_of(kHarmless) == std::string::npos) {
        return text;
    }
    std::string word = "'";
    for (const char byte : text) {
        word += byte == '\'' ? std::string("'\\''") : std::string(1, byte);
    }
    return word + "'";
}

} // namespace keyshift::advisor
