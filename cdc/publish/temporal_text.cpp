#include "cdc/publish/temporal_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>

namespace keyshift::cdc {

namespace {

// What Debezium 3.2 prints for the infinities (measured).
constexpr std::int64_t kDateInfinity = -2147472692;
constexpr std::int64_t kDateMinusInfinity = -2147472691;
constexpr std::int64_t kTimestampInfinity = 9223372036825200000;
constexpr std::int64_t kTimestampMinusInfinity = -9223372036832400000;
constexpr std::int64_t kDayMicroseconds = 86'400'000'000;
constexpr int kMicrosecondDigits = 6;
constexpr std::int64_t kLastYear = 5'874'897;

/// 64 bits do not hold the microseconds of every timestamp and interval; these are held at the ends.
std::int64_t saturated(__int128 value)
{
    constexpr __int128 kLeast = std::numeric_limits<std::int64_t>::min();
    constexpr __int128 kMost = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::clamp(value, kLeast, kMost));
}

struct Date {
    std::int64_t year = 0; ///< astronomical: 1 BC is 0
    unsigned month = 1;
    unsigned day = 1;
};

template <typename Number>
std::optional<Number> number(std::string_view text)
{
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                     : std::nullopt;
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted from 1 March so that the leap day comes last.
std::int64_t days_of(const Date& date)
{
    const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t of_era = year - era * 400;
    const std::int64_t day_of_year =
        (153 * (static_cast<std::int64_t>(date.month) + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

bool take_before_christ(std::string_view& text)
{
    if (!text.ends_with(" BC")) {
        return false;
    }
    text.remove_suffix(3);
    return true;
}

std::optional<Date> read_date(std::string_view text, bool before_christ)
{
    const std::size_t first = text.find('-');
    if (first == std::string_view::npos || text.size() != first + 6 || text[first + 3] != '-') {
        return std::nullopt;
    }
    const auto year = number<std::int64_t>(text.substr(0, first));
    const auto month = number<unsigned>(text.substr(first + 1, 2));
    const auto day = number<unsigned>(text.substr(first + 4, 2));
    if (!year || !month || !day || *year > kLastYear) {
        return std::nullopt;
    }
    return Date{before_christ ? 1 - *year : *year, *month, *day};
}

/// Sentinels for the infinities of a timestamp.
std::optional<std::int64_t> infinity(std::string_view text)
{
    return text == "infinity"    ? std::optional(kTimestampInfinity)
           : text == "-infinity" ? std::optional(kTimestampMinusInfinity)
                                 : std::nullopt;
}

struct Moment {
    std::int64_t days = 0;
    std::int64_t of_day = 0; ///< microseconds
};

/// "2016-11-04 13:51:30.123456[ BC]"
std::optional<Moment> read_moment(std::string_view text)
{
    const bool before_christ = take_before_christ(text);
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) {
        return std::nullopt;
    }
    const auto date = read_date(text.substr(0, space), before_christ);
    const auto time = day_microseconds(text.substr(space + 1));
    return date && time ? std::optional(Moment{days_of(*date), *time}) : std::nullopt;
}

/// Minutes and seconds of "+02", "-03:30" or "+05:53:28", in microseconds east of UTC.
std::optional<std::int64_t> zone_microseconds(std::string_view text)
{
    std::string clock(text.substr(1));
    clock += clock.size() == 2 ? ":00:00" : clock.size() == 5 ? ":00" : "";
    const auto magnitude = day_microseconds(clock);
    return magnitude ? std::optional(text[0] == '-' ? -*magnitude : *magnitude) : std::nullopt;
}

std::string fraction(std::int64_t microseconds, int digits)
{
    if (digits <= 0) {
        return "";
    }
    return "." + fmt::format("{:06}", microseconds).substr(0, static_cast<std::size_t>(digits));
}

/// A zoned timestamp of a year of four digits, which is nearly all there is: "2016-11-04 11:51:30.123456+00".
std::optional<std::string> common_zoned_timestamp(std::string_view text, int digits)
{
    constexpr std::size_t kSeconds = 19; // "2016-11-04 11:51:30"
    if (text.size() < kSeconds + 3 || text[4] != '-' || text[10] != ' ' || !text.ends_with("+00")) {
        return std::nullopt;
    }
    std::string iso(text.substr(0, kSeconds));
    iso[10] = 'T';
    const std::string_view after = text.substr(kSeconds, text.size() - kSeconds - 3);
    if (digits > 0) {
        iso += after.empty() ? "." : after;
        iso.resize(kSeconds + 1 + static_cast<std::size_t>(digits), '0');
    }
    return iso + "Z";
}

std::string java_year(std::int64_t year)
{
    return year > 9999 ? fmt::format("+{}", year)
           : year < 0  ? fmt::format("-{:04}", -year)
                       : fmt::format("{:04}", year);
}

std::string iso_day(const Date& date)
{
    return fmt::format("{}-{:02}-{:02}", java_year(date.year), date.month, date.day);
}

/// "13:51:30.1" of microseconds of the day.
std::string iso_clock(std::int64_t time)
{
    std::string digits = fraction(time % 1'000'000, kMicrosecondDigits);
    digits.erase(digits.find_last_not_of(".0") + 1);
    const std::int64_t seconds = time / 1'000'000;
    return fmt::format("{:02}:{:02}:{:02}{}", seconds / 3600, seconds / 60 % 60, seconds % 60, digits);
}

struct Interval {
    std::int64_t years = 0;
    std::int64_t months = 0;
    std::int64_t days = 0;
    __int128 time = 0; ///< in microseconds
};

/// "-03:04:05.000006" in microseconds.
std::optional<__int128> signed_clock(std::string_view word)
{
    const bool negative = word.starts_with('-');
    word.remove_prefix(negative || word.starts_with('+') ? 1 : 0);
    const std::size_t colon = word.find(':');
    const auto hours = number<std::int64_t>(word.substr(0, colon));
    const auto rest = day_microseconds("00" + std::string(word.substr(colon)));
    return hours && rest ? std::optional((static_cast<__int128>(*hours) * 3'600'000'000 + *rest) * (negative ? -1 : 1))
                         : std::nullopt;
}

/// Takes the next word off the front.
std::string_view take_word(std::string_view& text)
{
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

std::optional<Interval> read_interval(std::string_view text)
{
    Interval interval;
    while (!text.empty()) {
        std::string_view word = take_word(text);
        if (word.find(':') != std::string_view::npos) {
            const auto time = signed_clock(word);
            if (!time) {
                return std::nullopt;
            }
            interval.time = *time;
            continue;
        }
        word.remove_prefix(word.starts_with('+') ? 1 : 0);
        const auto amount = number<std::int64_t>(word);
        const std::string_view unit = take_word(text);
        if (!amount || unit.empty()) {
            return std::nullopt;
        }
        (unit.starts_with("day")    ? interval.days
         : unit.starts_with("year") ? interval.years
                                    : interval.months) += *amount;
    }
    return interval;
}

} // namespace

std::optional<std::int64_t> epoch_days(std::string_view text)
{
    if (text == "infinity") {
        return kDateInfinity;
    }
    if (text == "-infinity") {
        return kDateMinusInfinity;
    }
    const bool before_christ = take_before_christ(text);
    const auto date = read_date(text, before_christ);
    return date ? std::optional(days_of(*date)) : std::nullopt;
}

std::optional<std::int64_t> day_microseconds(std::string_view text)
{
    if (text.size() < 8 || text[2] != ':' || text[5] != ':') {
        return std::nullopt;
    }
    const auto hours = number<std::int64_t>(text.substr(0, 2));
    const auto minutes = number<std::int64_t>(text.substr(3, 2));
    const auto seconds = number<std::int64_t>(text.substr(6, 2));
    std::int64_t micros = 0;
    if (text.size() > 8) {
        std::string digits(text.substr(9, 6));
        digits.resize(6, '0');
        const auto value = number<std::int64_t>(digits);
        if (text[8] != '.' || !value) {
            return std::nullopt;
        }
        micros = *value;
    }
    if (!hours || !minutes || !seconds) {
        return std::nullopt;
    }
    return ((*hours * 60 + *minutes) * 60 + *seconds) * 1'000'000 + micros;
}

std::optional<std::int64_t> epoch_microseconds(std::string_view text)
{
    const auto moment = read_moment(text);
    if (!moment) {
        return infinity(text);
    }
    // As Debezium counts where 64 bits end: whole seconds stop there, and the fraction goes round.
    const std::int64_t micros = moment->of_day % 1'000'000;
    const std::int64_t whole =
        saturated(static_cast<__int128>(moment->days) * kDayMicroseconds + (moment->of_day - micros));
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(whole) + static_cast<std::uint64_t>(micros));
}

std::optional<std::int64_t> epoch_milliseconds(std::string_view text)
{
    if (const auto moment = read_moment(text)) {
        return moment->days * (kDayMicroseconds / 1000) + moment->of_day / 1000;
    }
    const auto micros = infinity(text);
    return micros ? std::optional(*micros / 1000) : std::nullopt;
}

std::optional<std::string> zoned_timestamp(std::string_view text, int digits)
{
    if (text == "infinity" || text == "-infinity") {
        return std::string(text);
    }
    if (auto common = common_zoned_timestamp(text, digits)) {
        return common;
    }
    const bool before_christ = take_before_christ(text);
    const std::size_t space = text.find(' ');
    const std::size_t zone = text.find_first_of("+-", space == std::string_view::npos ? 0 : space);
    if (space == std::string_view::npos || zone == std::string_view::npos || text.substr(zone) != "+00") {
        return std::nullopt;
    }
    const auto date = read_date(text.substr(0, space), before_christ);
    const auto time = day_microseconds(text.substr(space + 1, zone - space - 1));
    if (!date || !time) {
        return std::nullopt;
    }
    return fmt::format("{}-{:02}-{:02}T{}{}Z", java_year(date->year), date->month, date->day, text.substr(space + 1, 8),
                       fraction(*time % 1'000'000, digits));
}

std::optional<std::string> zoned_time(std::string_view text)
{
    const std::size_t zone = text.find_first_of("+-");
    if (zone == std::string_view::npos) {
        return std::nullopt;
    }
    const auto time = day_microseconds(text.substr(0, zone));
    const auto offset = zone_microseconds(text.substr(zone));
    if (!time || !offset) {
        return std::nullopt;
    }
    return iso_clock(((*time - *offset) % kDayMicroseconds + kDayMicroseconds) % kDayMicroseconds) + "Z";
}

std::optional<std::string> iso_date(std::string_view text)
{
    if (text == "infinity") {
        return "-5877611-06-21Z";
    }
    if (text == "-infinity") {
        return "-5877611-06-22Z";
    }
    const bool before_christ = take_before_christ(text);
    const auto date = read_date(text, before_christ);
    return date ? std::optional(iso_day(*date) + "Z") : std::nullopt;
}

std::string iso_date_of(std::int64_t days)
{
    // Counted from 1 March of the year 0, as in days_of.
    days += 719468;
    const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const std::int64_t of_era = days - era * 146097;
    const std::int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const std::int64_t day_of_year = of_era - (365 * year + year / 4 - year / 100);
    const std::int64_t from_march = (5 * day_of_year + 2) / 153;
    const std::int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    return fmt::format("{:04}-{:02}-{:02}", year + era * 400 + (month <= 2 ? 1 : 0), month,
                       day_of_year - (153 * from_march + 2) / 5 + 1);
}

std::optional<std::string> iso_time(std::string_view text)
{
    const auto time = day_microseconds(text);
    return time ? std::optional(iso_clock(*time % kDayMicroseconds) + "Z") : std::nullopt;
}

std::optional<std::string> iso_timestamp(std::string_view text)
{
    if (text == "infinity") {
        return "+294247-01-10T04:00:25.2Z";
    }
    if (text == "-infinity") {
        return "-290308-12-21T19:59:27.6Z";
    }
    const bool before_christ = take_before_christ(text);
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) {
        return std::nullopt;
    }
    const auto date = read_date(text.substr(0, space), before_christ);
    const auto time = day_microseconds(text.substr(space + 1));
    return date && time ? std::optional(iso_day(*date) + "T" + iso_clock(*time) + "Z") : std::nullopt;
}

std::optional<std::string> iso_interval(std::string_view text)
{
    const auto interval = read_interval(text);
    if (!interval) {
        return std::nullopt;
    }
    const auto seconds = static_cast<std::int64_t>(interval->time / 1'000'000);
    // Of the minute, in microseconds.
    const auto rest = static_cast<std::int64_t>(interval->time % 60'000'000);
    std::string digits = fraction(std::abs(rest) % 1'000'000, kMicrosecondDigits);
    digits.erase(digits.find_last_not_of(".0") + 1);
    return fmt::format("P{}Y{}M{}DT{}H{}M{}{}{}S", interval->years, interval->months, interval->days, seconds / 3600,
                       seconds / 60 % 60, rest < 0 ? "-" : "", std::abs(rest) / 1'000'000, digits);
}

std::optional<std::int64_t> interval_microseconds(std::string_view text)
{
    const auto interval = read_interval(text);
    if (!interval) {
        return std::nullopt;
    }
    // 365.25 / 12 days = 2,629,800 seconds.
    return saturated((static_cast<__int128>(interval->years) * 12 + interval->months) * 2'629'800'000'000 +
                     static_cast<__int128>(interval->days) * kDayMicroseconds + interval->time);
}

} // namespace keyshift::cdc
