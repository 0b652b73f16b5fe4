#pragma once
/// Values as PostgreSQL writes them (datestyle ISO, UTC), made of a fuzzer's bytes. Extremes are common.

#include "tests/fuzz/json_check.hpp"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <string>

namespace keyshift::fuzz {

inline std::string trimmed_fraction(std::size_t micros, int digits)
{
    std::string text = fmt::format(".{:06}", micros).substr(0, static_cast<std::size_t>(digits) + 1);
    text.erase(text.find_last_not_of('0') + 1);
    return text == "." ? "" : text;
}

inline std::string clock_value(Input& input, int digits)
{
    if (input.byte() == 255) {
        return "24:00:00";
    }
    return fmt::format("{:02}:{:02}:{:02}{}", input.below(24), input.below(60), input.below(60),
                       trimmed_fraction(input.number() % 1'000'000, digits));
}

/// Year, month and day, without the era.
inline std::pair<std::string, bool> date_value(Input& input, std::uint64_t last_year)
{
    const bool before_christ = input.below(4) == 0;
    const std::uint64_t year = 1 + input.number() % (before_christ ? 4712 : last_year);
    return {fmt::format("{:04}-{:02}-{:02}", year, 1 + input.below(12), 1 + input.below(28)), before_christ};
}

/// `zone` is "+00" or nothing.
inline std::string timestamp_value(Input& input, int digits, std::string_view zone)
{
    const std::uint8_t special = input.byte();
    if (special > 253) {
        return special == 254 ? "infinity" : "-infinity";
    }
    const auto [date, before_christ] = date_value(input, 294275);
    std::string clock = clock_value(input, digits);
    if (clock == "24:00:00") {
        clock = "00:00:00";
    }
    return date + " " + clock + std::string(zone) + (before_christ ? " BC" : "");
}

inline std::string numeric_value(Input& input, std::int32_t modifier)
{
    std::string digits;
    for (const char one : input.text()) {
        digits += static_cast<char>('0' + static_cast<unsigned char>(one) % 10);
    }
    const int declared = modifier < 0 ? static_cast<int>(input.below(20)) : (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400;
    if (declared < 0) {
        digits.append(static_cast<std::size_t>(-declared), '0');
    }
    const auto scale = static_cast<std::size_t>(std::max(declared, 0));
    if (digits.size() < scale + 1) {
        digits.insert(0, scale + 1 - digits.size(), '0');
    }
    std::string whole = digits.substr(0, digits.size() - scale);
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size() - 1));
    const std::string fraction = digits.substr(digits.size() - scale);
    const bool zero = whole == "0" && fraction.find_first_not_of('0') == std::string::npos;
    return (!zero && input.flag() ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction);
}

template <typename Float>
std::string float_value(Float value)
{
    if (std::isnan(value)) {
        return "NaN";
    }
    if (std::isinf(value)) {
        return value > 0 ? "Infinity" : "-Infinity";
    }
    std::array<char, 64> buffer{};
    return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

inline std::string bytea_value(Input& input)
{
    std::string text = "\\x";
    for (const char byte : input.text()) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

/// nullopt: no value of the type can be made here.
inline std::optional<std::string> postgres_value(Input& input, const std::string& type, std::int32_t modifier)
{
    const int digits = modifier < 0 || modifier > 6 ? 6 : modifier;
    const std::uint64_t number =
        type.starts_with("int") || type == "oid" || type.starts_with("float") ? input.number() : 0;
    return type == "bool"          ? std::string(input.flag() ? "t" : "f")
           : type == "int2"        ? std::to_string(static_cast<std::int16_t>(number))
           : type == "int4"        ? std::to_string(static_cast<std::int32_t>(number))
           : type == "int8"        ? std::to_string(static_cast<std::int64_t>(number))
           : type == "oid"         ? std::to_string(static_cast<std::uint32_t>(number))
           : type == "float4"      ? float_value(std::bit_cast<float>(static_cast<std::uint32_t>(number)))
           : type == "float8"      ? float_value(std::bit_cast<double>(number))
           : type == "numeric"     ? numeric_value(input, modifier)
           : type == "bytea"       ? bytea_value(input)
           : type == "time"        ? clock_value(input, digits)
           : type == "timestamp"   ? timestamp_value(input, digits, "")
           : type == "timestamptz" ? timestamp_value(input, digits, "+00")
           : type == "date"
               ? [&] {
                     const std::uint8_t special = input.byte();
                     const auto [date, before_christ] = date_value(input, 5874896);
                     return special > 253 ? std::string(special == 254 ? "infinity" : "-infinity")
                                          : date + (before_christ ? " BC" : "");
                 }()
           : std::string_view("text varchar bpchar name citext json jsonb xml").find(type) != std::string_view::npos
               ? std::optional(as_postgres_text(input.text()))
               : std::nullopt;
}

/// PostgreSQL's array_out: elements are quoted where they have to be.
inline std::string array_element(const std::string& value)
{
    const bool quoted =
        value.empty() || value.find_first_of("{}\",\\ \t\n\r\v\f") != std::string::npos ||
        (value.size() == 4 && fmt::format("{}", value).find_first_not_of("NULnul") == std::string::npos);
    if (!quoted) {
        return value;
    }
    std::string out = "\"";
    for (const char letter : value) {
        out += letter == '"' || letter == '\\' ? "\\" : "";
        out += letter;
    }
    return out + '"';
}

} // namespace keyshift::fuzz
