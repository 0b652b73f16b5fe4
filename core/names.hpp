#pragma once
/// Names in SQL and the topics made of them.

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyshift {

struct QualifiedName {
    std::string schema;
    std::string name;

    auto operator<=>(const QualifiedName&) const = default;
    /// "schema.name", unquoted: for messages, topics and the JSON of the command line.
    std::string to_string() const { return schema + "." + name; }
    /// Quoted for SQL: "schema"."name".
    std::string quoted() const;
    /// Reads what a user types: name, schema.name, "Odd ""name""". A missing schema is "public". Throws Error (usage) for
    /// what can be no table's name.
    static QualifiedName parse(std::string_view text);
};

/// Reads a list of names as a user types it: a,"Odd, one". Unquoted ones fold to lower case as in SQL. Throws Error (usage)
/// when one is empty or there twice.
std::vector<std::string> parse_names(std::string_view text);
/// Reads `name=text`; everything behind the first unquoted = is text. nullopt: there is no name or no =.
std::optional<std::pair<std::string, std::string>> parse_assignment(std::string_view text);

/// Quotes an identifier for SQL, always with double quotes.
std::string quote_identifier(std::string_view name);
/// Quotes a string literal for SQL (E'' form when it holds a backslash).
std::string quote_literal(std::string_view text);

} // namespace keyshift
