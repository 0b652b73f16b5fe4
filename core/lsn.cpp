#include "core/lsn.hpp"

#include <fmt/core.h>

#include <charconv>

namespace keyshift {

namespace {

std::optional<std::uint32_t> hexadecimal(std::string_view text)
{
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

} // namespace

std::string Lsn::to_string() const
{
    return fmt::format("{:X}/{:X}", value >> 32U, value & 0xFFFFFFFFU);
}

std::optional<Lsn> Lsn::parse(std::string_view text)
{
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto high = hexadecimal(text.substr(0, slash));
    const auto low = hexadecimal(text.substr(slash + 1));
    if (!high || !low) {
        return std::nullopt;
    }
    return Lsn{(std::uint64_t{*high} << 32U) | *low};
}

} // namespace keyshift
