#include "core/names.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace keyshift {

namespace {

/// Takes one identifier from the front of `text`, up to an unquoted `end`. Unquoted ones fold to lower case as in SQL.
/// `quoted`: a quote was not closed.
std::string take_identifier(std::string_view& text, char end, bool& quoted)
{
    std::string name;
    quoted = false;
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

std::string take_identifier(std::string_view& text, char end)
{
    bool open = false;
    return take_identifier(text, end, open);
}

/// As PostgreSQL reads it: no NUL, no surrogates, nothing longer than need be.
bool is_utf8(std::string_view text)
{
    while (!text.empty()) {
        const auto first = static_cast<unsigned char>(text.front());
        const std::size_t length = first < 0x80   ? 1
                                   : first < 0xC2 ? 0
                                   : first < 0xE0 ? 2
                                   : first < 0xF0 ? 3
                                   : first < 0xF5 ? 4
                                                  : 0;
        if (length == 0 || first == 0 || text.size() < length) {
            return false;
        }
        const auto second = static_cast<unsigned char>(length > 1 ? text[1] : 0x80);
        const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
        const bool beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
        for (const char next : text.substr(1, length - 1)) {
            if ((static_cast<unsigned char>(next) & 0xC0U) != 0x80U) {
                return false;
            }
        }
        if (overlong || beyond) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
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
    const auto refuse = [given = std::string(text)](const std::string& why) {
        throw Error(ErrorKind::usage, {"the table name " + (is_utf8(given) ? given : "that was given"), why,
                                       "Write it as SQL does: users, shop.users, '\"My Schema\".\"My Table\"'."});
    };
    if (!is_utf8(text)) {
        refuse("it is no text in UTF-8");
    }
    std::vector<std::string> parts;
    for (bool more = true; more;) {
        bool open = false;
        parts.push_back(take_identifier(text, '.', open));
        if (open) {
            refuse("a double quote in it is not closed");
        }
        more = !text.empty();
        text.remove_prefix(more ? 1 : 0);
    }
    if (std::ranges::find(parts, std::string()) != parts.end()) {
        refuse("a part of it is empty");
    }
    if (parts.size() > 2) {
        refuse("it has more parts than schema and table; names of other databases are not reached");
    }
    return parts.size() == 1 ? QualifiedName{"public", parts[0]} : QualifiedName{parts[0], parts[1]};
}

std::vector<std::string> parse_names(std::string_view text)
{
    std::vector<std::string> names;
    while (!text.empty()) {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        std::string name = take_identifier(text, ',');
        if (name.empty() || std::ranges::find(names, name) != names.end()) {
            throw Error(ErrorKind::usage,
                        {"a list of columns", name.empty() ? "one of its names is empty" : name + " is in it twice",
                         "Write it as a,b,\"C, d\"."});
        }
        names.push_back(std::move(name));
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
