#include "core/capture_options.hpp"

#include <algorithm>

namespace keyshift {

namespace {

bool among(const std::vector<std::string>& names, std::string_view name)
{
    return std::ranges::find(names, name) != names.end();
}

} // namespace

bool CaptureOptions::shows(std::string_view column) const
{
    return !among(exclude_columns, column) && (include_columns.empty() || among(include_columns, column));
}

bool CaptureOptions::alters(std::string_view column) const
{
    const std::string name(column);
    return mask.contains(name) || among(hash, name) || truncate.contains(name);
}

std::vector<std::string> CaptureOptions::guarded() const
{
    std::vector<std::string> names = exclude_columns;
    names.insert(names.end(), hash.begin(), hash.end());
    for (const auto& [name, constant] : mask) {
        names.push_back(name);
    }
    for (const auto& [name, length] : truncate) {
        names.push_back(name);
    }
    return names;
}

std::vector<std::string> CaptureOptions::named() const
{
    std::vector<std::string> names = guarded();
    names.insert(names.end(), include_columns.begin(), include_columns.end());
    names.insert(names.end(), key.begin(), key.end());
    return names;
}

} // namespace keyshift
