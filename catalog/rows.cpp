#include "catalog/rows.hpp"

#include "core/names.hpp"

namespace keyshift::catalog {

std::vector<std::string> read_array(std::string_view text)
{
    std::vector<std::string> elements;
    if (text.size() <= 2) {
        return elements;
    }
    std::string element;
    bool quoted = false;
    bool was_quoted = false;
    for (std::size_t i = 1; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            if (c == '\\') {
                element += text[++i];
            } else if (c == '"') {
                quoted = false;
            } else {
                element += c;
            }
        } else if (c == '"') {
            quoted = was_quoted = true;
        } else if (c == ',' || c == '}') {
            elements.push_back(!was_quoted && element == "NULL" ? std::string() : element);
            element.clear();
            was_quoted = false;
        } else {
            element += c;
        }
    }
    return elements;
}

std::string write_array(const std::vector<std::string>& elements)
{
    std::string text = "{";
    for (const std::string& element : elements) {
        text += text.size() > 1 ? ",\"" : "\"";
        for (const char c : element) {
            if (c == '"' || c == '\\') {
                text += '\\';
            }
            text += c;
        }
        text += '"';
    }
    return text + "}";
}

std::string join(const std::vector<std::string>& elements, std::string_view between)
{
    std::string text;
    for (const std::string& element : elements) {
        if (!text.empty()) {
            text += between;
        }
        text += element;
    }
    return text;
}

std::string quoted_list(const std::vector<std::string>& names)
{
    std::vector<std::string> quoted;
    quoted.reserve(names.size());
    for (const std::string& name : names) {
        quoted.push_back(quote_identifier(name));
    }
    return join(quoted);
}

} // namespace keyshift::catalog
