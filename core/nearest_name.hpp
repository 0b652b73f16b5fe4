#pragma once
/// "Did you mean": the known name that a mistyped one is nearest to.

#include <span>
#include <string>
#include <string_view>

namespace keyshift {

/// Empty: none is near enough to be meant.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

} // namespace keyshift
