#include "cdc/publish/number_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

namespace keyshift::cdc {

namespace {

// Below these powers of ten a float has less than two digits' precision (both ranges end in subnormal numbers).
constexpr int kLeastSingle = -43;
constexpr int kLeastDouble = -321;

/// Digits without leading and trailing zeros, and the power of ten of the first one: 0.00123 -> "123", -3.
struct Scientific {
    std::string digits;
    int exponent = 0;
};

/// Digits, perhaps a point and digits, perhaps an exponent that a float can have.
bool is_unsigned_float(std::string_view text)
{
    constexpr std::size_t kMostExponentDigits = 3;
    const auto take_digits = [&text] {
        const std::size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(count);
        return count;
    };
    std::size_t digits = take_digits();
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        digits += take_digits();
    }
    if (text.starts_with('e') || text.starts_with('E')) {
        text.remove_prefix(1);
        text.remove_prefix(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
        const std::size_t exponent = take_digits();
        return digits > 0 && exponent > 0 && exponent <= kMostExponentDigits && text.empty();
    }
    return digits > 0 && text.empty();
}

Scientific scientific(std::string_view text)
{
    int exponent = 0;
    const std::size_t e = text.find_first_of("eE");
    if (e != std::string_view::npos) {
        const std::size_t begin = text[e + 1] == '+' ? e + 2 : e + 1;
        std::from_chars(text.data() + begin, text.data() + text.size(), exponent);
        text = text.substr(0, e);
    }
    const std::size_t point = std::min(text.find('.'), text.size());
    Scientific number;
    number.digits = std::string(text.substr(0, point)) + std::string(point < text.size() ? text.substr(point + 1) : "");
    exponent += static_cast<int>(point) - 1;
    const std::size_t first = number.digits.find_first_not_of('0');
    if (first == std::string::npos) {
        return {"0", 0};
    }
    number.exponent = exponent - static_cast<int>(first);
    number.digits.erase(0, first);
    number.digits.erase(number.digits.find_last_not_of('0') + 1);
    return number;
}

/// No float's text: JSON would hold it, its readers would not.
bool beyond_doubles(const Scientific& number)
{
    constexpr std::string_view kMost = "17976931348623157"; // times 10^308
    constexpr int kMostExponent = 308;
    return number.exponent > kMostExponent || (number.exponent == kMostExponent && number.digits > kMost);
}

/// Java's plain form, for 10^-3 <= x < 10^7.
void append_plain(std::string& out, const Scientific& number)
{
    if (number.exponent < 0) {
        out += "0.";
        out.append(static_cast<std::size_t>(-number.exponent - 1), '0');
        out += number.digits;
        return;
    }
    const auto whole = static_cast<std::size_t>(number.exponent) + 1;
    std::string digits = number.digits;
    digits.resize(std::max(digits.size(), whole), '0');
    out.append(digits, 0, whole);
    out += '.';
    out += digits.size() > whole ? digits.substr(whole) : "0";
}

void append_exponent(std::string& out, const Scientific& number)
{
    out += number.digits[0];
    out += '.';
    out += number.digits.size() > 1 ? number.digits.substr(1) : "0";
    out += 'E';
    out += std::to_string(number.exponent);
}

/// Java prints at least two digits, the nearest ones; where floats are too coarse for that, the second digit tells.
Scientific two_digits(std::string_view text, FloatWidth width)
{
    double value = 0;
    if (width == FloatWidth::single_width) {
        float narrow = 0;
        std::from_chars(text.data(), text.data() + text.size(), narrow);
        value = static_cast<double>(narrow);
    } else {
        std::from_chars(text.data(), text.data() + text.size(), value);
    }
    return scientific(fmt::format("{:.1e}", value));
}

/// Magnitude of a decimal digit string, big-endian bytes.
std::string magnitude(const std::string& digits)
{
    std::uint64_t small = 0;
    if (digits.size() <= 18) {
        std::from_chars(digits.data(), digits.data() + digits.size(), small);
        std::string bytes;
        for (; small > 0; small >>= 8U) {
            bytes.insert(bytes.begin(), static_cast<char>(small & 0xFFU));
        }
        return bytes.empty() ? std::string(1, '\0') : bytes;
    }
    // Base 2^32, least significant word first; nine decimal digits at a time.
    std::vector<std::uint32_t> words;
    for (std::size_t at = 0; at < digits.size();) {
        const std::size_t count = std::min<std::size_t>(9, digits.size() - at);
        std::uint64_t carry = 0;
        std::uint64_t factor = 1;
        for (std::size_t i = 0; i < count; ++i) {
            carry = carry * 10 + static_cast<std::uint64_t>(digits[at + i] - '0');
            factor *= 10;
        }
        for (std::uint32_t& word : words) {
            carry += word * factor;
            word = static_cast<std::uint32_t>(carry);
            carry >>= 32U;
        }
        if (carry > 0) {
            words.push_back(static_cast<std::uint32_t>(carry));
        }
        at += count;
    }
    std::string bytes;
    for (auto word = words.rbegin(); word != words.rend(); ++word) {
        for (const unsigned shift : {24U, 16U, 8U, 0U}) {
            bytes += static_cast<char>(*word >> shift & 0xFFU);
        }
    }
    bytes.erase(0, std::min(bytes.find_first_not_of('\0'), bytes.size() - 1));
    return bytes;
}

} // namespace

void append_java_float(std::string& out, std::string_view text, FloatWidth width)
{
    if (text == "NaN" || text == "Infinity" || text == "-Infinity") {
        out += '"';
        out += text;
        out += '"';
        return;
    }
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    if (!is_unsigned_float(text)) {
        out += "null";
        return;
    }
    Scientific number = scientific(text);
    if (beyond_doubles(number)) {
        out += "null";
        return;
    }
    out += negative ? "-" : "";
    if (number.digits == "0") {
        out += "0.0";
        return;
    }
    if (number.digits.size() == 1 &&
        number.exponent < (width == FloatWidth::single_width ? kLeastSingle : kLeastDouble)) {
        number = two_digits(text, width);
    }
    if (number.exponent >= -3 && number.exponent < 7) {
        append_plain(out, number);
    } else {
        append_exponent(out, number);
    }
}

void append_java_double_of_decimal(std::string& out, std::string_view text)
{
    double value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec == std::errc::result_out_of_range) {
        // Too large or too small for a double: Java's BigDecimal.doubleValue().
        const bool tiny = text.substr(text.starts_with('-') ? 1 : 0).starts_with("0.");
        const std::string_view nearest = tiny ? "0" : "Infinity";
        append_java_float(out, text.starts_with('-') ? "-" + std::string(nearest) : std::string(nearest),
                          FloatWidth::double_width);
        return;
    }
    if (text == "NaN" || text == "Infinity" || text == "-Infinity") {
        append_java_float(out, text, FloatWidth::double_width);
        return;
    }
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || !std::isfinite(value)) {
        out += "null";
        return;
    }
    std::array<char, 32> shortest{};
    const auto end =
        std::to_chars(shortest.data(), shortest.data() + shortest.size(), value, std::chars_format::scientific).ptr;
    append_java_float(out, {shortest.data(), static_cast<std::size_t>(end - shortest.data())},
                      FloatWidth::double_width);
}

std::optional<Decimal> read_decimal(std::string_view text)
{
    Decimal value;
    value.negative = text.starts_with('-');
    bool fraction = false;
    for (const char letter : text.substr(value.negative ? 1 : 0)) {
        if (letter == '.' && !fraction) {
            fraction = true;
        } else if (letter >= '0' && letter <= '9') {
            value.digits += letter;
            value.scale += fraction ? 1 : 0;
        } else {
            return std::nullopt;
        }
    }
    value.digits.erase(0, std::min(value.digits.find_first_not_of('0'), value.digits.size()));
    if (value.digits.empty()) {
        value.digits = "0";
        value.negative = false;
    }
    return value;
}

Decimal rescaled(Decimal value, int scale)
{
    if (value.digits != "0" && value.scale < scale) {
        value.digits.append(static_cast<std::size_t>(scale - value.scale), '0');
    } else if (value.digits != "0" && value.scale > scale) {
        const auto cut = static_cast<std::size_t>(value.scale - scale);
        value.digits = cut < value.digits.size() ? value.digits.substr(0, value.digits.size() - cut) : "0";
        value.negative = value.negative && value.digits != "0";
    }
    value.scale = scale;
    return value;
}

std::string amount_of(std::string_view money)
{
    std::string amount;
    for (const char letter : money) {
        if ((letter >= '0' && letter <= '9') || letter == '.') {
            amount += letter;
        } else if (letter == '-' || letter == '(') {
            amount.insert(0, "-");
        }
    }
    return amount;
}

bool is_integer(std::string_view text)
{
    constexpr std::size_t kMostDigits = 19;
    text.remove_prefix(text.starts_with('-') ? 1 : 0);
    // JSON knows no leading zeros, and neither does PostgreSQL.
    return !text.empty() && text.size() <= kMostDigits && (text.front() != '0' || text.size() == 1) &&
           std::ranges::all_of(text, [](char letter) { return letter >= '0' && letter <= '9'; });
}

std::string java_text(const Decimal& value)
{
    const int digits = static_cast<int>(value.digits.size());
    const int exponent = digits - 1 - value.scale;
    std::string text = value.digits;
    constexpr int kLeastPlain = -6;
    if (value.scale < 0 || exponent < kLeastPlain) {
        if (digits > 1) {
            text.insert(1, ".");
        }
        text += fmt::format("E{}{}", exponent < 0 ? "" : "+", exponent);
    } else if (value.scale > 0) {
        if (digits <= value.scale) {
            text.insert(0, static_cast<std::size_t>(value.scale - digits + 1), '0');
        }
        text.insert(text.size() - static_cast<std::size_t>(value.scale), ".");
    }
    return (value.negative ? "-" : "") + text;
}

Decimal stripped(Decimal value)
{
    while (value.scale > 0 && (value.digits.ends_with('0'))) {
        --value.scale;
        if (value.digits != "0") {
            value.digits.pop_back();
        }
    }
    return value;
}

std::string twos_complement(const Decimal& value)
{
    std::string bytes = magnitude(value.digits);
    if (!value.negative) {
        return (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0 ? '\0' + bytes : bytes;
    }
    // Invert and add one, from the last byte.
    unsigned carry = 1;
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
        const unsigned sum = (static_cast<unsigned>(~*byte) & 0xFFU) + carry;
        *byte = static_cast<char>(sum & 0xFFU);
        carry = sum >> 8U;
    }
    if ((static_cast<unsigned char>(bytes[0]) & 0x80U) == 0) {
        bytes.insert(bytes.begin(), '\xFF');
    }
    return bytes;
}

} // namespace keyshift::cdc
