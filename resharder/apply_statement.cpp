#include "resharder/apply_statement.hpp"

#include <stdexcept>

namespace keyshift::resharder {

namespace {

/// unnest($1::text[], ...) AS v(b0, ..., s0, ...)
std::string value_rows(std::size_t by, std::size_t set)
{
    std::string arrays;
    std::string names;
    for (std::size_t i = 0; i < by + set; ++i) {
        const std::string separator = i == 0 ? "" : ", ";
        arrays += separator + "$" + std::to_string(i + 1) + "::text[]";
        names += separator + (i < by ? "b" + std::to_string(i) : "s" + std::to_string(i - by));
    }
    return "unnest(" + arrays + ") AS v(" + names + ")";
}

std::string cast(const MoveTable& table, std::size_t column, char kind, std::size_t place)
{
    return std::string("v.") + kind + std::to_string(place) + "::" + table.columns[column].type;
}

std::string condition(const MoveTable& table, const std::vector<std::size_t>& by)
{
    std::string text;
    for (std::size_t i = 0; i < by.size(); ++i) {
        text += (i == 0 ? "t." : " AND t.") + quote_identifier(table.columns[by[i]].name) + " = " +
                cast(table, by[i], 'b', i);
    }
    return text;
}

} // namespace

std::string apply_statement(cdc::ChangeKind kind, const std::string& quoted_table, const MoveTable& table,
                            const std::vector<std::size_t>& by, const std::vector<std::size_t>& set)
{
    const std::string rows = value_rows(by.size(), set.size());
    std::string names;
    std::string casts;
    std::string assignments;
    for (std::size_t i = 0; i < set.size(); ++i) {
        const std::string separator = i == 0 ? "" : ", ";
        const std::string column = quote_identifier(table.columns[set[i]].name);
        names += separator + column;
        casts += separator + cast(table, set[i], 's', i);
        assignments += separator + column + " = " + cast(table, set[i], 's', i);
    }
    switch (kind) {
    case cdc::ChangeKind::insert:
        return "INSERT INTO " + quoted_table + " (" + names + ") OVERRIDING SYSTEM VALUE SELECT " + casts + " FROM " +
               rows;
    case cdc::ChangeKind::update:
        return "UPDATE ONLY " + quoted_table + " AS t SET " + assignments + " FROM " + rows + " WHERE " +
               condition(table, by);
    case cdc::ChangeKind::remove:
        return "DELETE FROM ONLY " + quoted_table + " AS t USING " + rows + " WHERE " + condition(table, by);
    case cdc::ChangeKind::truncate:
        break;
    }
    throw std::logic_error("TRUNCATE has no rows to apply");
}

void append_element(std::string& array, const std::optional<std::string>& value)
{
    if (array.size() > 1) {
        array += ',';
    }
    if (!value) {
        array += "NULL";
        return;
    }
    array += '"';
    for (const char c : *value) {
        if (c == '"' || c == '\\') {
            array += '\\';
        }
        array += c;
    }
    array += '"';
}

} // namespace keyshift::resharder
