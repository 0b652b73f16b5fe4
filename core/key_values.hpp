#pragma once
/// Values of a key as PostgreSQL stores them, read from its text output; what hash partitioning hashes. Spellings that only the
/// server reads give nullopt. Pure; safe to call from any thread.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift {

template <typename Number>
std::optional<Number> read_number(std::string_view text)
{
    Number value{};
    if (text.starts_with('+') && !text.starts_with("+-")) {
        text.remove_prefix(1);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                     : std::nullopt;
}

std::optional<bool> read_boolean(std::string_view text);
/// 16 bytes.
std::optional<std::string> read_uuid(std::string_view text);
/// A bytea in the form "\x0aff".
std::optional<std::string> read_bytes(std::string_view text);
/// Of an inet or cidr: its family, the bits of its mask, its address.
std::optional<std::string> read_network(std::string_view text);
/// 6 bytes of a macaddr, 8 of a macaddr8: "08:00:2b:01:02:03".
std::optional<std::string> read_hardware_address(std::string_view text);
/// Microseconds from midnight, which may be that at its end: 24:00:00.
std::optional<std::int64_t> read_time(std::string_view text);
/// Days from 2000-01-01; the largest and the least number for infinity and -infinity.
std::optional<std::int32_t> read_date(std::string_view text);
/// Microseconds from 2000-01-01, in UTC where it has a zone; the largest and the least number for infinity and -infinity.
std::optional<std::int64_t> read_timestamp(std::string_view text);

/// Without its sign, of which equal values have the same.
struct NumericDigits {
    bool special = false;             ///< NaN, Infinity, -Infinity
    std::vector<std::int16_t> digits; ///< to the base 10,000, no zeros at either end
    int weight = 0;                   ///< of the first digit: its power of 10,000
};
std::optional<NumericDigits> read_numeric(std::string_view text);

} // namespace keyshift
