#include "projections/sql_text.hpp"

#include <algorithm>
#include <numeric>

namespace keyshift::projections {

namespace {

/// Walks over text and knows whether a byte stands inside quotes, and how many brackets are open. A doubled quote ends and
/// begins, which comes to the same.
class Scanner {
public:
    void step(char letter)
    {
        if (quote_ != 0) {
            quote_ = letter == quote_ ? '\0' : quote_;
        } else if (letter == '\'' || letter == '"') {
            quote_ = letter;
        } else if (letter == '(' || letter == '[') {
            ++depth_;
        } else if (letter == ')' || letter == ']') {
            --depth_;
        }
    }
    bool outside() const { return quote_ == 0 && depth_ == 0; }

private:
    char quote_ = 0;
    int depth_ = 0;
};

} // namespace

std::size_t find_outside(std::string_view text, std::string_view wanted, std::size_t from)
{
    Scanner scanner;
    for (std::size_t at = from; at < text.size(); ++at) {
        if (scanner.outside() && text.substr(at).starts_with(wanted)) {
            return at;
        }
        scanner.step(text[at]);
    }
    return std::string_view::npos;
}

std::size_t behind_bracket(std::string_view text, std::size_t open)
{
    Scanner scanner;
    for (std::size_t at = open; at < text.size(); ++at) {
        scanner.step(text[at]);
        if (scanner.outside()) {
            return at + 1;
        }
    }
    return text.size();
}

std::vector<std::string> split_list(std::string_view text)
{
    constexpr std::string_view kComma = ", ";
    std::vector<std::string> parts;
    while (true) {
        const std::size_t comma = find_outside(text, kComma);
        parts.emplace_back(text.substr(0, comma));
        if (comma == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(comma + kComma.size());
    }
}

std::string with_caret(const std::string& sql, std::size_t location)
{
    location = std::min(location, sql.size());
    const std::size_t before = sql.rfind('\n', location == 0 ? 0 : location - 1);
    const std::size_t begin = before == std::string::npos || location == 0 ? 0 : before + 1;
    const std::size_t end = std::min(sql.find('\n', location), sql.size());
    std::string line = sql.substr(begin, end - begin);
    std::replace(line.begin(), line.end(), '\t', ' ');
    const auto columns = std::count_if(sql.begin() + static_cast<std::ptrdiff_t>(begin),
                                       sql.begin() + static_cast<std::ptrdiff_t>(location),
                                       [](char byte) { return (byte & 0xC0) != 0x80; });
    return "    " + line + "\n    " + std::string(static_cast<std::size_t>(columns), ' ') + "^";
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& names)
{
    const auto distance = [&](const std::string& name) {
        std::vector<std::size_t> row(name.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (const char letter : typed) {
            std::size_t diagonal = row[0]++;
            for (std::size_t at = 1; at < row.size(); ++at) {
                const std::size_t replaced = diagonal + (letter == name[at - 1] ? 0 : 1);
                diagonal = row[at];
                row[at] = std::min({row[at] + 1, row[at - 1] + 1, replaced});
            }
        }
        return row.back();
    };
    std::size_t least = typed.size() / 3 + 2;
    std::string best;
    for (const std::string& name : names) {
        if (const std::size_t apart = distance(name); apart < least) {
            least = apart;
            best = name;
        }
    }
    return best.empty() ? "" : "Did you mean " + best + "? ";
}

} // namespace keyshift::projections
