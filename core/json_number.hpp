#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>

namespace keyshift {

/// A whole number in the range of Number, of a nlohmann::json; nullopt for anything else. nlohmann itself would cut a negative, broken or too
/// large one into shape.
template <typename Number, typename Json>
std::optional<Number> whole_number(const Json& json)
{
    using Limits = std::numeric_limits<Number>;
    if (json.is_number_unsigned()) {
        const auto value = json.template get<std::uint64_t>();
        return value <= static_cast<std::uint64_t>(Limits::max()) ? std::optional(static_cast<Number>(value))
                                                                  : std::nullopt;
    }
    if (!json.is_number_integer() || !std::is_signed_v<Number>) {
        return std::nullopt;
    }
    const auto value = json.template get<std::int64_t>();
    const bool fits = value >= static_cast<std::int64_t>(Limits::min());
    return fits ? std::optional(static_cast<Number>(value)) : std::nullopt;
}

} // namespace keyshift
