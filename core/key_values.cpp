#include "core/key_values.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <limits>

namespace keyshift {

namespace {

/// Days from 2000-01-01 in the proleptic Gregorian calendar.
std::int64_t days_from_2000(std::int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 730425;
}

/// Cuts "YYYY-MM-DD" off the front.
std::optional<std::int64_t> take_date(std::string_view& text, bool before_christ)
{
    const std::size_t first = text.find('-');
    if (first == std::string_view::npos || text.size() < first + 6 || text[first + 3] != '-') {
        return std::nullopt;
    }
    const auto year = read_number<std::int64_t>(text.substr(0, first));
    const auto month = read_number<unsigned>(text.substr(first + 1, 2));
    const auto day = read_number<unsigned>(text.substr(first + 4, 2));
    text.remove_prefix(first + 6);
    if (!year || *year < 1 || !month || !day || *month < 1 || *month > 12 || *day < 1) {
        return std::nullopt;
    }
    const std::int64_t astronomical = before_christ ? 1 - *year : *year;
    const std::int64_t first_day = days_from_2000(astronomical, *month, 1);
    const std::int64_t next_month =
        *month == 12 ? days_from_2000(astronomical + 1, 1, 1) : days_from_2000(astronomical, *month + 1, 1);
    return first_day + *day <= next_month ? std::optional(first_day + *day - 1) : std::nullopt;
}

bool take_before_christ(std::string_view& text)
{
    if (!text.ends_with(" BC")) {
        return false;
    }
    text.remove_suffix(3);
    return true;
}

/// "hh", "hh:mm" or "hh:mm:ss[.ffffff]" in microseconds.
std::optional<std::int64_t> clock_microseconds(std::string_view text)
{
    constexpr std::array<std::int64_t, 3> kUnits{3'600'000'000, 60'000'000, 1'000'000};
    if (text.empty()) {
        return std::nullopt;
    }
    std::int64_t sum = 0;
    for (std::size_t part = 0; part < 3 && !text.empty(); ++part) {
        const auto value = read_number<std::int64_t>(text.substr(0, 2));
        if (text.size() < 2 || !value || *value < 0 || *value > (part == 0 ? 23 : 59)) {
            return std::nullopt;
        }
        sum += *value * kUnits.at(part);
        text.remove_prefix(2);
        if (text.starts_with(':')) {
            text.remove_prefix(1);
        } else {
            break;
        }
    }
    if (text.starts_with('.')) {
        std::string digits(text.substr(1, 6));
        const auto value = read_number<std::int64_t>(digits + std::string(6 - digits.size(), '0'));
        if (!value || *value < 0 || text.size() > 7) {
            return std::nullopt;
        }
        sum += *value;
        text = {};
    }
    return text.empty() ? std::optional(sum) : std::nullopt;
}

/// "YYYY-MM-DD hh:mm:ss[.ffffff]", with or without a zone's offset, behind which there may be nothing.
std::optional<std::int64_t> microseconds(std::string_view text)
{
    const bool before_christ = take_before_christ(text);
    const auto days = take_date(text, before_christ);
    if (!days || text.empty() || (text.front() != ' ' && text.front() != 'T')) {
        return std::nullopt;
    }
    text.remove_prefix(1);
    if (text.ends_with('Z')) {
        text.remove_suffix(1);
    }
    const std::size_t zone = text.find_first_of("+-");
    const auto time = clock_microseconds(text.substr(0, zone));
    std::int64_t offset = 0;
    if (zone != std::string_view::npos) {
        const auto magnitude = clock_microseconds(text.substr(zone + 1));
        if (!magnitude) {
            return std::nullopt;
        }
        offset = text[zone] == '-' ? -*magnitude : *magnitude;
    }
    return time ? std::optional(*days * 86'400'000'000 + *time - offset) : std::nullopt;
}

std::optional<std::string> bytes_of(std::string_view hexadecimal)
{
    std::string bytes;
    for (; hexadecimal.size() >= 2; hexadecimal.remove_prefix(2)) {
        std::uint8_t byte = 0;
        const auto [end, error] = std::from_chars(hexadecimal.data(), hexadecimal.data() + 2, byte, 16);
        if (error != std::errc{} || end != hexadecimal.data() + 2) {
            return std::nullopt;
        }
        bytes += static_cast<char>(byte);
    }
    return hexadecimal.empty() ? std::optional(bytes) : std::nullopt;
}

bool is_digits(std::string_view text)
{
    return text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// `decimals` padded with zeros to whole digits of four decimals, in front of them or behind.
std::vector<std::int16_t> digits_of(std::string decimals, bool in_front)
{
    constexpr std::size_t kWidth = 4;
    const std::string zeros((kWidth - decimals.size() % kWidth) % kWidth, '0');
    decimals = in_front ? zeros + decimals : decimals + zeros;
    std::vector<std::int16_t> digits;
    for (std::size_t at = 0; at < decimals.size(); at += kWidth) {
        digits.push_back(*read_number<std::int16_t>(std::string_view(decimals).substr(at, kWidth)));
    }
    return digits;
}

} // namespace

std::optional<bool> read_boolean(std::string_view text)
{
    const bool yes = text == "t" || text == "true";
    return yes || text == "f" || text == "false" ? std::optional(yes) : std::nullopt;
}

std::optional<std::string> read_uuid(std::string_view text)
{
    std::string digits;
    for (const char next : text) {
        if (next != '-' && next != '{' && next != '}') {
            digits += next;
        }
    }
    if (digits.size() != 32) {
        return std::nullopt;
    }
    return bytes_of(digits);
}

std::optional<std::string> read_bytes(std::string_view text)
{
    return text.starts_with("\\x") ? bytes_of(text.substr(2)) : std::nullopt;
}

std::optional<std::string> read_network(std::string_view text)
{
    // As PostgreSQL's inet_struct has them (utils/inet.h).
    constexpr char kIpv4 = 2;
    constexpr char kIpv6 = 3;
    const std::size_t slash = text.find('/');
    const std::string address(text.substr(0, slash));
    std::array<char, 16> bytes{};
    const bool v4 = inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
    if (!v4 && inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) {
        return std::nullopt;
    }
    const std::size_t length = v4 ? 4 : bytes.size();
    const auto most = static_cast<unsigned>(8 * length);
    const auto bits =
        slash == std::string_view::npos ? std::optional(most) : read_number<unsigned>(text.substr(slash + 1));
    if (!bits || *bits > most) {
        return std::nullopt;
    }
    return std::string{v4 ? kIpv4 : kIpv6, static_cast<char>(*bits)} + std::string(bytes.data(), length);
}

std::optional<std::string> read_hardware_address(std::string_view text)
{
    constexpr std::size_t kShort = 17; // "08:00:2b:01:02:03"
    constexpr std::size_t kLong = 23;
    if (text.size() != kShort && text.size() != kLong) {
        return std::nullopt;
    }
    std::string digits;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (at % 3 != 2) {
            digits += text[at];
        } else if (text[at] != ':') {
            return std::nullopt;
        }
    }
    return bytes_of(digits);
}

std::optional<std::int64_t> read_time(std::string_view text)
{
    constexpr std::int64_t kDay = 86'400'000'000;
    const bool at_the_end = text.starts_with("24:00:00") && text.find_first_not_of("0.", 8) == std::string_view::npos;
    return at_the_end ? std::optional(kDay) : clock_microseconds(text);
}

std::optional<std::int32_t> read_date(std::string_view text)
{
    using Limits = std::numeric_limits<std::int32_t>;
    if (text == "infinity" || text == "-infinity") {
        return text == "infinity" ? Limits::max() : Limits::min();
    }
    const bool before_christ = take_before_christ(text);
    const auto days = take_date(text, before_christ);
    return days && text.empty() ? std::optional(static_cast<std::int32_t>(*days)) : std::nullopt;
}

std::optional<std::int64_t> read_timestamp(std::string_view text)
{
    using Limits = std::numeric_limits<std::int64_t>;
    if (text == "infinity" || text == "-infinity") {
        return text == "infinity" ? Limits::max() : Limits::min();
    }
    return microseconds(text);
}

std::optional<NumericDigits> read_numeric(std::string_view text)
{
    NumericDigits number;
    if (text == "NaN" || text == "Infinity" || text == "-Infinity") {
        number.special = true;
        return number;
    }
    if (text.starts_with('-')) {
        text.remove_prefix(1);
    }
    const std::size_t point = std::min(text.find('.'), text.size());
    const std::string_view whole = text.substr(0, point);
    const std::string_view fraction = point == text.size() ? std::string_view() : text.substr(point + 1);
    if (whole.empty() || !is_digits(whole) || !is_digits(fraction) || text.ends_with('.')) {
        return std::nullopt;
    }
    number.digits = digits_of(std::string(whole), true);
    number.weight = static_cast<int>(number.digits.size()) - 1;
    const std::vector<std::int16_t> behind = digits_of(std::string(fraction), false);
    number.digits.insert(number.digits.end(), behind.begin(), behind.end());
    const auto is_zero = [](std::int16_t digit) {
        return digit == 0;
    };
    const auto first = std::find_if_not(number.digits.begin(), number.digits.end(), is_zero);
    number.weight -= static_cast<int>(first - number.digits.begin());
    number.digits.erase(number.digits.begin(), first);
    number.digits.erase(std::find_if_not(number.digits.rbegin(), number.digits.rend(), is_zero).base(),
                        number.digits.end());
    return number;
}

} // namespace keyshift
