#include "cdc/publish/value_encoder.hpp"

#include "cdc/publish/array_text.hpp"
#include "cdc/publish/bytes_text.hpp"
#include "cdc/publish/json_text.hpp"
#include "cdc/publish/number_text.hpp"
#include "cdc/publish/temporal_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace keyshift::cdc {

namespace {

// Digits of money after the point.
constexpr int kCents = 2;

/// "-$1,234.56" as "-1234.56".
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

void append_integer(std::string& out, std::optional<std::int64_t> value)
{
    if (!value) {
        out += "null";
        return;
    }
    std::array<char, 24> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), *value).ptr;
    out.append(buffer.data(), end);
}

void append_optional_string(std::string& out, const std::optional<std::string>& text)
{
    if (text) {
        append_string(out, *text);
    } else {
        out += "null";
    }
}

std::optional<std::int64_t> in_milliseconds(std::optional<std::int64_t> micros_of_day)
{
    return micros_of_day ? std::optional(*micros_of_day / 1000) : std::nullopt;
}

void append_point(std::string& out, std::string_view text)
{
    const auto point = read_point(text);
    if (!point) {
        out += "null";
        return;
    }
    out += R"({"x":)";
    append_java_float(out, point->x, FloatWidth::double_width);
    out += R"(,"y":)";
    append_java_float(out, point->y, FloatWidth::double_width);
    out += R"(,"wkb":)";
    append_base64_string(out, well_known_binary(*point));
    out += R"(,"srid":null})";
}

/// Java's names of what a BigDecimal cannot hold.
std::string_view decimal_text(std::string_view text)
{
    return text == "NaN"         ? "NAN"
           : text == "Infinity"  ? "POSITIVE_INFINITY"
           : text == "-Infinity" ? "NEGATIVE_INFINITY"
                                 : text;
}

} // namespace

ValueEncoder::ValueEncoder(const TypeSchema& type, ValueForm form)
    : form_(form), digits_(digits_of(type)), unavailable_(unavailable_json(type, form))
{
}

std::optional<ValueEncoder> ValueEncoder::for_type(const TypeSchema& declared, DecimalMode decimal)
{
    const TypeSchema type = bottom_type(declared);
    const auto form = form_of(type, decimal);
    if (!form) {
        return std::nullopt;
    }
    ValueEncoder encoder(type, *form);
    if (form == ValueForm::array) {
        TypeSchema element = *type.element;
        element.modifier = type.modifier;
        encoder.element_ = std::make_shared<const ValueEncoder>(for_type(element, decimal).value());
    }
    return encoder;
}

void ValueEncoder::append_decimal(std::string& out, std::string_view text) const
{
    const auto value = read_decimal(text);
    if (!value) {
        out += "null";
    } else if (form_ == ValueForm::variable_decimal) {
        const Decimal exact = stripped(*value);
        out += "{\"scale\":";
        append_integer(out, exact.scale);
        out += ",\"value\":";
        append_base64_string(out, twos_complement(exact));
        out += '}';
    } else {
        append_base64_string(out, twos_complement(rescaled(*value, form_ == ValueForm::money ? kCents : digits_)));
    }
}

void ValueEncoder::append_temporal(std::string& out, std::string_view text) const
{
    switch (form_) {
    case ValueForm::date:
        append_integer(out, epoch_days(text));
        return;
    case ValueForm::milliseconds_of_day:
        append_integer(out, in_milliseconds(day_microseconds(text)));
        return;
    case ValueForm::microseconds_of_day:
        append_integer(out, day_microseconds(text));
        return;
    case ValueForm::milliseconds:
        append_integer(out, epoch_milliseconds(text));
        return;
    case ValueForm::microseconds:
        append_integer(out, epoch_microseconds(text));
        return;
    case ValueForm::interval:
        append_integer(out, interval_microseconds(text));
        return;
    case ValueForm::zoned_time:
        append_optional_string(out, zoned_time(text));
        return;
    default:
        append_optional_string(out, zoned_timestamp(text, digits_));
    }
}

void ValueEncoder::append(std::string& out, std::string_view text) const
{
    switch (form_) {
    case ValueForm::literal:
        out += is_integer(text) ? text : "null";
        return;
    case ValueForm::boolean:
        out += text == "t" ? "true" : "false";
        return;
    case ValueForm::bit:
        out += text == "1" ? "true" : "false";
        return;
    case ValueForm::single_real:
        append_java_float(out, text, FloatWidth::single_width);
        return;
    case ValueForm::double_real:
        append_java_float(out, text, FloatWidth::double_width);
        return;
    case ValueForm::decimal_real:
        append_java_double_of_decimal(out, text);
        return;
    case ValueForm::decimal:
    case ValueForm::variable_decimal:
        append_decimal(out, text);
        return;
    case ValueForm::money:
        append_decimal(out, amount_of(text));
        return;
    case ValueForm::money_text:
        append_string(out, amount_of(text));
        return;
    case ValueForm::money_real:
        append_java_double_of_decimal(out, amount_of(text));
        return;
    case ValueForm::decimal_text:
        append_string(out, decimal_text(text));
        return;
    case ValueForm::text:
        append_string(out, text);
        return;
    case ValueForm::bytes:
        append_base64_of_hex(out, text);
        return;
    case ValueForm::bits:
        append_base64_string(out, bytes_of_bits(text));
        return;
    case ValueForm::hstore:
        append_string(out, hstore_json(text));
        return;
    case ValueForm::point:
        append_point(out, text);
        return;
    case ValueForm::array:
        text = without_bounds(text);
        if (text.starts_with('{')) {
            append_array(out, text);
        } else {
            out += "null";
        }
        return;
    default:
        append_temporal(out, text);
    }
}

void ValueEncoder::append_array(std::string& out, std::string_view& text) const
{
    out += '[';
    text.remove_prefix(1);
    bool first = true;
    while (!text.empty() && text.front() != '}') {
        if (text.front() == ',') {
            text.remove_prefix(1);
        }
        out += first ? "" : ",";
        first = false;
        if (text.starts_with('{')) {
            append_array(out, text);
        } else if (const auto element = take_element(text)) {
            element_->append(out, *element);
        } else {
            out += "null";
        }
    }
    text.remove_prefix(text.empty() ? 0 : 1);
    out += ']';
}

} // namespace keyshift::cdc
