#include "cdc/source/default_literal.hpp"

#include <algorithm>
#include <cctype>

namespace keyshift::cdc {

namespace {

bool is_number(std::string_view text)
{
    return !text.empty() && text.find_first_not_of("0123456789.-eE+") == std::string_view::npos &&
           text.find_first_of("0123456789") != std::string_view::npos;
}

/// "::type name(10)[]" or nothing: whatever follows a constant without changing it into an expression.
bool is_cast_or_nothing(std::string_view rest)
{
    if (rest.empty()) {
        return true;
    }
    if (!rest.starts_with("::")) {
        return false;
    }
    rest.remove_prefix(2);
    return std::ranges::all_of(rest, [](char letter) {
        return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
               std::string_view("_ .\"[],()").find(letter) != std::string_view::npos;
    });
}

} // namespace

std::optional<std::string> default_literal(std::string_view expression)
{
    if (expression == "true" || expression == "false") {
        return std::string(expression == "true" ? "t" : "f");
    }
    if (is_number(expression)) {
        return std::string(expression);
    }
    const bool escaped = expression.starts_with("E'");
    if (!escaped && !expression.starts_with('\'')) {
        return std::nullopt;
    }
    std::string value;
    for (std::size_t at = escaped ? 2 : 1; at < expression.size(); ++at) {
        const char letter = expression[at];
        const bool doubled = at + 1 < expression.size() && expression[at + 1] == letter;
        if (letter == '\'' && !doubled) {
            return is_cast_or_nothing(expression.substr(at + 1)) ? std::optional(value) : std::nullopt;
        }
        if (letter == '\'' || (escaped && letter == '\\' && doubled)) {
            ++at;
        }
        value += letter;
    }
    return std::nullopt;
}

bool is_call(std::string_view expression)
{
    expression.remove_prefix(expression.starts_with('(') ? 1 : 0);
    const auto end = std::ranges::find_if_not(expression, [](char letter) {
        return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '.';
    });
    return end != expression.begin() && end != expression.end() && *end == '(';
}

} // namespace keyshift::cdc
