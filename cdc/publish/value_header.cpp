/// A key's values as the headers of a key change have them: what Kafka Connect's SimpleHeaderConverter makes of a struct,
/// which is nearly JSON.
#include "cdc/publish/bytes_text.hpp"
#include "cdc/publish/number_text.hpp"
#include "cdc/publish/temporal_text.hpp"
#include "cdc/publish/value_encoder.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::cdc {

namespace {

constexpr std::int64_t kDay = 86'400'000; ///< in milliseconds

/// Only quotes and backslashes are escaped.
void append_quoted(std::string& out, std::string_view text)
{
    out += '"';
    for (const char letter : text) {
        if (letter == '"' || letter == '\\') {
            out += '\\';
        }
        out += letter;
    }
    out += '"';
}

/// As Java's Date formats are chosen: a clock for whatever is before the second day of 1970.
std::string date_text(std::int64_t milliseconds)
{
    const std::int64_t of_day = (milliseconds % kDay + kDay) % kDay;
    const std::string clock = fmt::format("{:02}:{:02}:{:02}.{:03}Z", of_day / 3'600'000, of_day / 60'000 % 60,
                                          of_day / 1000 % 60, of_day % 1000);
    if (milliseconds < kDay) {
        return clock;
    }
    const std::string day = iso_date_of(milliseconds / kDay);
    return of_day == 0 ? day : day + "T" + clock;
}

} // namespace

void ValueEncoder::append_in_header(std::string& out, std::string_view text) const
{
    switch (form_.form) {
    case ValueForm::text:
        append_quoted(out, text);
        return;
    case ValueForm::decimal:
        if (const auto value = read_decimal(text)) {
            out += java_text(rescaled(*value, digits_));
            return;
        }
        break;
    case ValueForm::money:
        if (const auto value = read_decimal(amount_of(text))) {
            out += java_text(rescaled(*value, kCents));
            return;
        }
        break;
    case ValueForm::single_real:
    case ValueForm::double_real:
    case ValueForm::decimal_real: {
        const std::size_t begin = out.size();
        append(out, text);
        out.erase(std::remove(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), '"'), out.end());
        return;
    }
    case ValueForm::connect_date:
        if (const auto days = epoch_days(text)) {
            out += date_text(*days * kDay);
            return;
        }
        break;
    case ValueForm::connect_milliseconds_of_day:
        if (const auto micros = day_microseconds(text)) {
            out += date_text(*micros / 1000);
            return;
        }
        break;
    case ValueForm::connect_milliseconds:
        if (const auto milliseconds = epoch_milliseconds(text)) {
            out += date_text(*milliseconds);
            return;
        }
        break;
    default:
        break;
    }
    append(out, text);
}

} // namespace keyshift::cdc
