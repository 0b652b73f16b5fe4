#include "core/names.hpp"

#include <algorithm>

namespace keyshift {

namespace {

/// Takes one identifier from the front of `text`, up to an unquoted `end`. Unquoted ones fold to lower case as in SQL.
std::string take_identifier(std::string_view& text, char end)
{
    std::string name;
    bool quoted = false;
    while (!text.empty() && (quoted || text.front() != end)) {
        const char next = text.front();
        text.remove_prefix(1);
        if (next != '"') {
            name += quoted || next < 'A' || next > 'Z' ? next : static_cast<char>(next - 'A' + 'a');
        } else if (quoted && !text.empty() && text.front() == '"') {
            name += '"';
            text.remove_prefix(1);
        } else {
            quoted = !quoted;
        }
    }
    return name;
}

std::string doubled(std::string_view text, char quote)
{
    std::string out;
    for (const char next : text) {
        out.append(next == quote ? 2 : 1, next);
    }
    return out;
}

} // namespace

std::string quote_identifier(std::string_view name)
{
    return '"' + doubled(name, '"') + '"';
}

std::string quote_literal(std::string_view text)
{
    const std::string quoted = '\'' + doubled(text, '\'') + '\'';
    return text.find('\\') == std::string_view::npos ? quoted : " E" + doubled(quoted, '\\');
}

std::string QualifiedName::quoted() const
{
    return quote_identifier(schema) + '.' + quote_identifier(name);
}

QualifiedName QualifiedName::parse(std::string_view text)
{
    std::string first = take_identifier(text, '.');
    if (text.empty()) {
        return {"public", std::move(first)};
    }
    text.remove_prefix(1);
    return {std::move(first), take_identifier(text, '.')};
}

std::vector<std::string> parse_names(std::string_view text)
{
    std::vector<std::string> names;
    while (!text.empty()) {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        if (std::string name = take_identifier(text, ','); !name.empty()) {
            names.push_back(std::move(name));
        }
        text.remove_prefix(text.empty() ? 0 : 1);
    }
    return names;
}

std::optional<std::pair<std::string, std::string>> parse_assignment(std::string_view text)
{
    std::string name = take_identifier(text, '=');
    if (name.empty() || text.empty()) {
        return std::nullopt;
    }
    return std::pair(std::move(name), std::string(text.substr(1)));
}

} // namespace keyshift
