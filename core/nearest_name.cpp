#include "core/nearest_name.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace keyshift {

namespace {

/// Levenshtein's: insertions, deletions and replacements from one to the other.
std::size_t distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

} // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> known)
{
    std::string nearest;
    std::size_t least = std::max<std::size_t>(3, name.size() / 3);
    for (const std::string& candidate : known) {
        if (const std::size_t far = distance(name, candidate); far < least) {
            least = far;
            nearest = candidate;
        }
    }
    return nearest;
}

} // namespace keyshift
