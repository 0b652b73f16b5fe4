#include "cdc/publish/value_encoder.hpp"

#include "cdc/publish/array_text.hpp"
#include "cdc/publish/bytes_text.hpp"
#include "cdc/publish/json_text.hpp"
#include "cdc/publish/number_text.hpp"
#include "cdc/publish/temporal_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <set>

namespace keyshift::cdc {

namespace {

/// Types that Debezium reads as objects of its JDBC driver and prints again.
const std::set<std::string_view> kGeometric{"box", "lseg", "path", "polygon", "circle", "line"};

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

/// A numeric(p,s) has all its digits in what the server sends, but not in a default. `scale` is negative where it has none.
std::string full_decimal(std::string_view text, int scale)
{
    std::string full(decimal_text(text));
    const std::size_t point = full.find('.');
    const std::size_t present = point == std::string::npos ? 0 : full.size() - point - 1;
    if (!full.empty() && scale > 0 && present < static_cast<std::size_t>(scale) &&
        std::isdigit(static_cast<unsigned char>(full.back()))) {
        full += point == std::string::npos ? "." : "";
        full.append(static_cast<std::size_t>(scale) - present, '0');
    }
    return full;
}

} // namespace

ValueEncoder::ValueEncoder(const TypeSchema& type, const TypeForm& form, const ValueOptions& options)
    : form_(form), digits_(digits_of(type)), coordinates_(form.opaque && kGeometric.contains(type.name)),
      unavailable_(unavailable_json(type, form, options))
{
    if (form.form == ValueForm::array) {
        const TypeSchema element = element_type(type);
        delimiter_ = element.name == "box" ? ';' : ',';
        element_ = std::make_shared<const ValueEncoder>(
            ValueEncoder(element, element_form_of(type, options).value(), options));
    }
}

std::optional<ValueEncoder> ValueEncoder::for_type(const TypeSchema& declared, const ValueOptions& options)
{
    const TypeSchema type = bottom_type(declared);
    const auto form = form_of(type, options);
    return form ? std::optional(ValueEncoder(type, *form, options)) : std::nullopt;
}

void ValueEncoder::append_bytes(std::string& out, std::string_view text) const
{
    if (!form_.opaque) {
        if (form_.form == ValueForm::hex_text) {
            append_string(out, text.starts_with("\\x") ? text.substr(2) : "");
        } else {
            append_base64_of_hex(out, text);
        }
        return;
    }
    const std::string bytes = coordinates_ ? java_coordinates(text) : std::string(text);
    if (form_.form == ValueForm::hex_text) {
        append_string(out, hex_of_bytes(bytes));
    } else {
        append_base64_string(out, bytes);
    }
}

std::optional<std::size_t> ValueEncoder::bytes_length(std::string_view text) const
{
    const bool base64 = form_.form == ValueForm::bytes || form_.form == ValueForm::base64_text;
    if (form_.opaque || (!base64 && form_.form != ValueForm::hex_text) || !text.starts_with("\\x")) {
        return std::nullopt;
    }
    const std::size_t digits = text.size() - 2;
    return base64 ? (digits / 2 + 2) / 3 * 4 : digits;
}

void ValueEncoder::append_amount(std::string& out, std::string_view text) const
{
    switch (form_.form) {
    case ValueForm::decimal_real:
        append_java_double_of_decimal(out, text);
        return;
    case ValueForm::decimal_text:
        append_string(out, full_decimal(text, digits_));
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
    default:
        append_decimal(out, text);
    }
}

void ValueEncoder::append_decimal(std::string& out, std::string_view text) const
{
    const auto value = read_decimal(text);
    if (!value) {
        out += "null";
    } else if (form_.form == ValueForm::variable_decimal) {
        const Decimal exact = stripped(*value);
        out += "{\"scale\":";
        append_integer(out, exact.scale);
        out += ",\"value\":";
        append_base64_string(out, twos_complement(exact));
        out += '}';
    } else {
        append_base64_string(out, twos_complement(rescaled(*value, form_.form == ValueForm::money ? kCents : digits_)));
    }
}

bool ValueEncoder::loses(std::string_view text) const
{
    const bool precise = form_.form == ValueForm::variable_decimal || form_.form == ValueForm::decimal;
    return precise && (text == "NaN" || text == "Infinity" || text == "-Infinity");
}

void ValueEncoder::append_temporal(std::string& out, std::string_view text) const
{
    switch (form_.form) {
    case ValueForm::date:
    case ValueForm::connect_date:
        append_integer(out, epoch_days(text));
        return;
    case ValueForm::iso_date:
        append_optional_string(out, iso_date(text));
        return;
    case ValueForm::iso_time:
        append_optional_string(out, iso_time(text));
        return;
    case ValueForm::iso_timestamp:
        append_optional_string(out, iso_timestamp(text));
        return;
    case ValueForm::interval_text:
        append_optional_string(out, iso_interval(text));
        return;
    case ValueForm::milliseconds_of_day:
    case ValueForm::connect_milliseconds_of_day:
        append_integer(out, in_milliseconds(day_microseconds(text)));
        return;
    case ValueForm::microseconds_of_day:
        append_integer(out, day_microseconds(text));
        return;
    case ValueForm::milliseconds:
    case ValueForm::connect_milliseconds:
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
    switch (form_.form) {
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
    case ValueForm::decimal:
    case ValueForm::decimal_real:
    case ValueForm::decimal_text:
    case ValueForm::variable_decimal:
    case ValueForm::money:
    case ValueForm::money_text:
    case ValueForm::money_real:
        append_amount(out, text);
        return;
    case ValueForm::text:
        append_string(out, text);
        return;
    case ValueForm::bytes:
    case ValueForm::base64_text:
    case ValueForm::hex_text:
        append_bytes(out, text);
        return;
    case ValueForm::bits:
        append_base64_string(out, bytes_of_bits(text));
        return;
    case ValueForm::hstore:
        append_string(out, hstore_json_text(text));
        return;
    case ValueForm::hstore_map:
        out += hstore_json(text);
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
        if (text.front() == delimiter_) {
            text.remove_prefix(1);
        }
        out += first ? "" : ",";
        first = false;
        if (text.starts_with('{')) {
            append_array(out, text);
        } else if (const auto element = take_element(text, delimiter_)) {
            element_->append(out, *element);
        } else {
            out += "null";
        }
    }
    text.remove_prefix(text.empty() ? 0 : 1);
    out += ']';
}

} // namespace keyshift::cdc
