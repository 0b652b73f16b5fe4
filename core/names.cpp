#include "core/names.hpp"

namespace keyshift {

namespace {

/// Takes one identifier from the front of `text`, up to an unquoted dot. Unquoted ones fold to lower case as in SQL.
std::string take_identifier(std::string_view& text)
{
    std::string name;
    bool quoted = false;
    while (!text.empty() && (quoted || text.front() != '.')) {
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
    std::string first = take_identifier(text);
    if (text.empty()) {
        return {"public", std::move(first)};
    }
    text.remove_prefix(1);
    return {std::move(first), take_identifier(text)};
}

} // namespace keyshift
