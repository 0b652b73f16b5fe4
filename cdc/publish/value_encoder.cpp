#include "cdc/publish/value_encoder.hpp"

#include "cdc/publish/json_text.hpp"
#include "cdc/publish/number_text.hpp"
#include "cdc/publish/temporal_text.hpp"
#include "core/change_event.hpp"

#include <array>
#include <charconv>
#include <map>
#include <set>

namespace keyshift::cdc {

namespace {

// numeric(p,s): the modifier holds precision and scale plus four (PostgreSQL: numerictypmodin).
constexpr std::int32_t kModifierOffset = 4;
constexpr int kScaleMask = 0x7FF;
// A fraction of at most three digits is counted in milliseconds.
constexpr int kMillisecondDigits = 3;

int scale_of(std::int32_t modifier)
{
    // The scale is an eleven-bit signed number.
    const int raw = (modifier - kModifierOffset) & kScaleMask;
    return (raw ^ 0x400) - 0x400;
}

/// The type below any domains, with the modifier that counts.
const TypeSchema& bottom(const TypeSchema& type)
{
    return type.kind == 'd' && type.base ? bottom(*type.base) : type;
}

const std::set<std::string_view> kTexts{"text", "varchar", "bpchar", "char", "name", "citext", "uuid", "json", "jsonb", "xml", "inet",
                                        "cidr", "macaddr", "macaddr8", "int4range", "int8range", "numrange", "tsrange", "tstzrange",
                                        "daterange", "ltree", "isbn", "isbn13", "issn", "ismn", "ean13", "upc"};

/// hex digits after "\x" as bytes; the walsender's bytea_output is hex.
std::string bytes_of_hex(std::string_view text)
{
    std::string bytes;
    if (!text.starts_with("\\x")) {
        return bytes;
    }
    bytes.reserve(text.size() / 2);
    const auto nibble = [](char letter) { return letter <= '9' ? letter - '0' : (letter | 0x20) - 'a' + 10; };
    for (std::size_t at = 2; at + 1 < text.size(); at += 2) {
        bytes += static_cast<char>(nibble(text[at]) << 4 | nibble(text[at + 1]));
    }
    return bytes;
}

/// "-$1,234.56" as a decimal of two digits.
std::optional<Decimal> money_of(std::string_view text)
{
    std::string digits;
    for (const char letter : text) {
        if ((letter >= '0' && letter <= '9') || letter == '.') {
            digits += letter;
        } else if (letter == '-' || letter == '(') {
            digits.insert(0, "-");
        }
    }
    const auto value = read_decimal(digits);
    return value ? std::optional(rescaled(*value, 2)) : std::nullopt;
}

void append_decimal_base64(std::string& out, const Decimal& value)
{
    out += '"';
    append_base64(out, twos_complement(value));
    out += '"';
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

/// Java's floor division, so that times before the epoch round down.
std::optional<std::int64_t> in_milliseconds(std::optional<std::int64_t> micros)
{
    if (!micros) {
        return std::nullopt;
    }
    return *micros >= 0 ? *micros / 1000 : -((-*micros + 999) / 1000);
}

/// Takes one element off an array's text: quoted or bare. `quoted` tells "NULL" from NULL.
std::string take_element(std::string_view& text, bool& quoted)
{
    std::string element;
    quoted = text.starts_with('"');
    text.remove_prefix(quoted ? 1 : 0);
    while (!text.empty() && (quoted ? text.front() != '"' : text.front() != ',' && text.front() != '}')) {
        if (text.front() == '\\' && text.size() > 1) {
            text.remove_prefix(1);
        }
        element += text.front();
        text.remove_prefix(1);
    }
    text.remove_prefix(quoted && !text.empty() ? 1 : 0);
    return element;
}

} // namespace

std::optional<ValueEncoder::Form> ValueEncoder::form_of(const TypeSchema& type, DecimalMode decimal)
{
    static const std::map<std::string_view, Form> kForms{{"bool", Form::boolean},
                                                         {"int2", Form::literal},
                                                         {"int4", Form::literal},
                                                         {"int8", Form::literal},
                                                         {"oid", Form::literal},
                                                         {"float4", Form::real},
                                                         {"float8", Form::real},
                                                         {"bytea", Form::bytes},
                                                         {"date", Form::date},
                                                         {"timetz", Form::zoned_time},
                                                         {"timestamptz", Form::zoned_timestamp},
                                                         {"interval", Form::interval}};
    const bool milliseconds = type.modifier >= 0 && type.modifier <= kMillisecondDigits;
    if (type.kind == 'e' || kTexts.contains(type.name)) {
        return Form::text;
    }
    if (type.name == "numeric") {
        return decimal == DecimalMode::string ? Form::decimal_text
               : decimal == DecimalMode::real ? Form::decimal_real
               : type.modifier < 0            ? Form::variable_decimal
                                              : Form::decimal;
    }
    if (type.name == "money") {
        return Form::money;
    }
    if (type.name == "time") {
        return milliseconds ? Form::milliseconds_of_day : Form::microseconds_of_day;
    }
    if (type.name == "timestamp") {
        return milliseconds ? Form::milliseconds : Form::microseconds;
    }
    const auto found = kForms.find(type.name);
    return found == kForms.end() ? std::nullopt : std::optional(found->second);
}

std::optional<ValueEncoder> ValueEncoder::for_type(const TypeSchema& declared, DecimalMode decimal)
{
    const TypeSchema& type = bottom(declared);
    const std::int32_t modifier = type.modifier >= 0 ? type.modifier : declared.modifier;
    if (type.element) {
        // Debezium leaves these out; so that consumers of both see the same columns, so do we.
        static const std::set<std::string_view> kNoArrays{"_money", "_name", "_interval", "_xml"};
        TypeSchema element = *type.element;
        element.modifier = modifier;
        auto inner = for_type(element, decimal);
        if (!inner || kNoArrays.contains(type.name)) {
            return std::nullopt;
        }
        ValueEncoder encoder(Form::array);
        encoder.element_ = std::make_shared<const ValueEncoder>(*inner);
        return encoder;
    }
    TypeSchema exact = type;
    exact.modifier = modifier;
    const auto form = form_of(exact, decimal);
    if (!form) {
        return std::nullopt;
    }
    ValueEncoder encoder(*form);
    encoder.digits_ = type.name == "numeric" ? scale_of(modifier) : modifier >= 0 ? modifier : 6;
    return encoder;
}

void ValueEncoder::append_decimal(std::string& out, std::string_view text) const
{
    const auto value = form_ == Form::money ? money_of(text) : read_decimal(text);
    if (!value) {
        out += "null";
    } else if (form_ == Form::variable_decimal) {
        const Decimal exact = stripped(*value);
        out += "{\"scale\":";
        append_integer(out, exact.scale);
        out += ",\"value\":";
        append_decimal_base64(out, exact);
        out += '}';
    } else {
        append_decimal_base64(out, form_ == Form::money ? *value : rescaled(*value, digits_));
    }
}

void ValueEncoder::append_temporal(std::string& out, std::string_view text) const
{
    switch (form_) {
    case Form::date: append_integer(out, epoch_days(text)); return;
    case Form::milliseconds_of_day: append_integer(out, in_milliseconds(day_microseconds(text))); return;
    case Form::microseconds_of_day: append_integer(out, day_microseconds(text)); return;
    case Form::milliseconds: append_integer(out, in_milliseconds(epoch_microseconds(text))); return;
    case Form::microseconds: append_integer(out, epoch_microseconds(text)); return;
    case Form::interval: append_integer(out, interval_microseconds(text)); return;
    case Form::zoned_time: append_optional_string(out, zoned_time(text)); return;
    default: append_optional_string(out, zoned_timestamp(text, digits_));
    }
}

void ValueEncoder::append(std::string& out, std::string_view text) const
{
    switch (form_) {
    case Form::literal: out += text; return;
    case Form::boolean: out += text == "t" ? "true" : "false"; return;
    case Form::real:
    case Form::decimal_real: append_java_float(out, text); return;
    case Form::decimal:
    case Form::variable_decimal:
    case Form::money: append_decimal(out, text); return;
    case Form::decimal_text:
        append_string(out, text == "NaN" ? "NAN" : text == "Infinity" ? "POSITIVE_INFINITY" : text == "-Infinity" ? "NEGATIVE_INFINITY" : text);
        return;
    case Form::text: append_string(out, text); return;
    case Form::bytes:
        out += '"';
        append_base64(out, bytes_of_hex(text));
        out += '"';
        return;
    case Form::array: {
        // Bounds other than one come first: [0:1]={...}
        const std::size_t begin = text.starts_with('[') ? text.find("={") + 1 : 0;
        text.remove_prefix(std::min(begin, text.size()));
        append_array(out, text);
        return;
    }
    default: append_temporal(out, text);
    }
}

void ValueEncoder::append_array(std::string& out, std::string_view& text) const
{
    out += '[';
    text.remove_prefix(text.empty() ? 0 : 1);
    bool first = true;
    while (!text.empty() && text.front() != '}') {
        if (text.front() == ',') {
            text.remove_prefix(1);
        }
        out += first ? "" : ",";
        first = false;
        if (text.starts_with('{')) {
            append_array(out, text);
            continue;
        }
        bool quoted = false;
        const std::string element = take_element(text, quoted);
        if (!quoted && element == "NULL") {
            out += "null";
        } else {
            element_->append(out, element);
        }
    }
    text.remove_prefix(text.empty() ? 0 : 1);
    out += ']';
}

void ValueEncoder::append_unavailable(std::string& out) const
{
    switch (form_) {
    case Form::text:
    case Form::decimal_text: append_string(out, kUnavailableValue); return;
    case Form::bytes:
        out += '"';
        append_base64(out, kUnavailableValue);
        out += '"';
        return;
    case Form::array:
        out += '[';
        if (element_->form_ == Form::literal) {
            // The placeholder's byte codes, as Debezium fills integer arrays.
            for (std::size_t at = 0; at < kUnavailableValue.size(); ++at) {
                out += at == 0 ? "" : ",";
                append_integer(out, kUnavailableValue[at]);
            }
        } else {
            element_->append_unavailable(out);
        }
        out += ']';
        return;
    default: out += "null";
    }
}

void ValueEncoder::append_zero(std::string& out) const
{
    switch (form_) {
    case Form::boolean: append(out, "f"); return;
    case Form::text: append(out, ""); return;
    case Form::bytes: append(out, "\\x"); return;
    case Form::array: append(out, "{}"); return;
    case Form::real:
    case Form::decimal_real:
    case Form::decimal:
    case Form::variable_decimal:
    case Form::decimal_text:
    case Form::money: append(out, "0"); return;
    case Form::zoned_time: append_string(out, "00:00:00Z"); return;
    case Form::zoned_timestamp: append_string(out, *zoned_timestamp("1970-01-01 00:00:00+00", digits_)); return;
    default: out += '0';
    }
}

} // namespace keyshift::cdc
