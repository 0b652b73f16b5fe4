#include "cdc/publish/array_text.hpp"

#include "cdc/publish/json_text.hpp"

#include <algorithm>
#include <array>

namespace keyshift::cdc {

namespace {

/// Takes a quoted text off the front, without its quotes and escapes.
std::string take_quoted(std::string_view& text)
{
    std::string value;
    text.remove_prefix(1);
    while (!text.empty() && text.front() != '"') {
        text.remove_prefix(text.front() == '\\' && text.size() > 1 ? 1 : 0);
        value += text.front();
        text.remove_prefix(1);
    }
    text.remove_prefix(text.empty() ? 0 : 1);
    return value;
}

std::string hstore_object(std::string_view text, void (*append)(std::string&, std::string_view))
{
    std::string json = "{";
    while (text.starts_with('"')) {
        json += json.size() > 1 ? "," : "";
        append(json, take_quoted(text));
        json += ':';
        text.remove_prefix(std::min<std::size_t>(2, text.size()));
        if (text.starts_with('"')) {
            append(json, take_quoted(text));
        } else {
            json += "null";
        }
        text.remove_prefix(std::min(text.find('"'), text.size()));
    }
    return json + "}";
}

} // namespace

std::string_view without_bounds(std::string_view array)
{
    if (array.starts_with('[')) {
        array.remove_prefix(std::min(array.find('=') + 1, array.size()));
    }
    return array;
}

std::optional<std::string> take_element(std::string_view& text, char delimiter)
{
    if (text.starts_with('"')) {
        return take_quoted(text);
    }
    const std::array<char, 2> ends{delimiter, '}'};
    const std::size_t end = std::min(text.find_first_of(std::string_view(ends.data(), ends.size())), text.size());
    const std::string_view element = text.substr(0, end);
    text.remove_prefix(end);
    return element == "NULL" ? std::nullopt : std::optional(std::string(element));
}

std::string hstore_json(std::string_view text)
{
    return hstore_object(text, append_string);
}

std::string hstore_json_text(std::string_view text)
{
    return hstore_object(text, append_inner_string);
}

} // namespace keyshift::cdc
