#include "cdc/publish/value_form.hpp"

#include "cdc/publish/json_text.hpp"
#include "core/change_event.hpp"

#include <fmt/core.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace keyshift::cdc {

namespace {

// numeric(p,s): the modifier holds precision and scale plus four (PostgreSQL: numerictypmodin).
constexpr std::int32_t kModifierOffset = 4;
constexpr std::int32_t kScaleMask = 0x7FF;
constexpr std::int32_t kScaleSign = 0x400;
// A fraction of at most three digits is counted in milliseconds.
constexpr std::int32_t kMillisecondDigits = 3;
constexpr int kMicrosecondDigits = 6;

const std::set<std::string_view> kTexts{"text",      "varchar",   "bpchar",    "char",      "name",     "citext",
                                        "uuid",      "json",      "jsonb",     "xml",       "inet",     "cidr",
                                        "macaddr",   "macaddr8",  "int4range", "int8range", "numrange", "tsrange",
                                        "tstzrange", "daterange", "ltree",     "isbn",      "isbn13",   "issn",
                                        "issn13",    "ismn",      "ismn13",    "ean13",     "upc"};
const std::map<std::string_view, ValueForm> kForms{
    {"bool", ValueForm::boolean},       {"int2", ValueForm::literal},
    {"int4", ValueForm::literal},       {"int8", ValueForm::literal},
    {"oid", ValueForm::literal},        {"float4", ValueForm::single_real},
    {"float8", ValueForm::double_real}, {"point", ValueForm::point},
    {"timetz", ValueForm::zoned_time},  {"timestamptz", ValueForm::zoned_timestamp}};

/// Debezium has these types and not their arrays (nor arrays of domains); consumers of both see the same columns.
const std::set<std::string_view> kNoArrays{"money", "name", "interval", "xml", "varbit", "point"};
/// The arrays for which it has a placeholder.
const std::set<std::string_view> kTextArrays{"text", "varchar", "bpchar", "json", "jsonb"};
const std::set<std::string_view> kByteCodeArrays{"int4", "int8"};
/// The name-based UUID of the placeholder.
constexpr std::string_view kUnavailableUuid = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

ValueForm numeric_form(const TypeSchema& type, DecimalMode decimal)
{
    switch (decimal) {
    case DecimalMode::string:
        return ValueForm::decimal_text;
    case DecimalMode::real:
        return ValueForm::decimal_real;
    case DecimalMode::precise:
        break;
    }
    return type.modifier < 0 ? ValueForm::variable_decimal : ValueForm::decimal;
}

ValueForm money_form(DecimalMode decimal)
{
    return decimal == DecimalMode::string ? ValueForm::money_text
           : decimal == DecimalMode::real ? ValueForm::money_real
                                          : ValueForm::money;
}

ValueForm binary_form(BinaryMode binary)
{
    return binary == BinaryMode::base64 ? ValueForm::base64_text
           : binary == BinaryMode::hex  ? ValueForm::hex_text
                                        : ValueForm::bytes;
}

/// Of date, time and timestamp.
std::optional<ValueForm> temporal_form(const TypeSchema& type, TimeMode time)
{
    const bool short_fraction = type.modifier >= 0 && type.modifier <= kMillisecondDigits;
    const bool milliseconds = time == TimeMode::adaptive && short_fraction;
    if (type.name == "date") {
        return time == TimeMode::connect     ? ValueForm::connect_date
               : time == TimeMode::isostring ? ValueForm::iso_date
                                             : ValueForm::date;
    }
    if (type.name == "time") {
        return time == TimeMode::connect     ? ValueForm::connect_milliseconds_of_day
               : time == TimeMode::isostring ? ValueForm::iso_time
               : milliseconds                ? ValueForm::milliseconds_of_day
                                             : ValueForm::microseconds_of_day;
    }
    if (type.name == "timestamp") {
        return time == TimeMode::connect     ? ValueForm::connect_milliseconds
               : time == TimeMode::isostring ? ValueForm::iso_timestamp
               : milliseconds                ? ValueForm::milliseconds
                                             : ValueForm::microseconds;
    }
    return std::nullopt;
}

/// Of a base type that has forms to choose from.
std::optional<ValueForm> chosen_form(const TypeSchema& type, const ValueOptions& options)
{
    if (type.name == "numeric") {
        return numeric_form(type, options.decimal);
    }
    if (type.name == "money") {
        return money_form(options.decimal);
    }
    if (type.name == "bytea") {
        return binary_form(options.binary);
    }
    if (type.name == "hstore") {
        return options.hstore == HstoreMode::map ? ValueForm::hstore_map : ValueForm::hstore;
    }
    if (type.name == "interval") {
        return options.interval == IntervalMode::string ? ValueForm::interval_text : ValueForm::interval;
    }
    if (type.name == "bit" || type.name == "varbit") {
        return type.modifier == 1 ? ValueForm::bit : ValueForm::bits;
    }
    return temporal_form(type, options.time);
}

/// nullopt: the type has no form of its own.
std::optional<ValueForm> own_form(const TypeSchema& type, const ValueOptions& options)
{
    if (type.kind == 'e') {
        return ValueForm::text;
    }
    // A composite or a range of the user's may have any name.
    if (type.kind != 'b' && type.kind != 'r') {
        return std::nullopt;
    }
    if (kTexts.contains(type.name)) {
        return ValueForm::text;
    }
    if (const auto chosen = chosen_form(type, options)) {
        return chosen;
    }
    const auto found = kForms.find(type.name);
    return found == kForms.end() ? std::nullopt : std::optional(found->second);
}

std::optional<TypeForm> opaque_form(const ValueOptions& options)
{
    return options.unknown_types == UnknownTypes::bytes ? std::optional(TypeForm{binary_form(options.binary), true})
                                                        : std::nullopt;
}

std::string array_placeholder(const TypeSchema& array, const ValueOptions& options)
{
    const std::string_view element = array.element->name;
    const TypeForm form = element_form_of(array, options).value();
    std::string placeholder;
    if (kByteCodeArrays.contains(element) || form.form == ValueForm::date) {
        for (const char letter : kUnavailableValue) {
            placeholder += fmt::format("{}{}", placeholder.empty() ? "" : ",", static_cast<int>(letter));
        }
    } else if (element == "uuid") {
        append_string(placeholder, kUnavailableUuid);
    } else if (form.form == ValueForm::bytes && !form.opaque) {
        append_base64_string(placeholder, kUnavailableValue);
    } else if (kTextArrays.contains(element)) {
        append_string(placeholder, kUnavailableValue);
    } else {
        return "null";
    }
    return "[" + placeholder + "]";
}

} // namespace

TypeSchema bottom_type(const TypeSchema& type)
{
    if (type.kind != 'd' || !type.base) {
        return type;
    }
    TypeSchema bottom = bottom_type(*type.base);
    bottom.modifier = bottom.modifier >= 0 ? bottom.modifier : type.modifier;
    return bottom;
}

TypeSchema element_type(const TypeSchema& array)
{
    TypeSchema element = *array.element;
    element.modifier = array.modifier;
    return element;
}

std::optional<TypeForm> element_form_of(const TypeSchema& array, const ValueOptions& options)
{
    const TypeSchema element = element_type(array);
    if (element.kind == 'b' && kNoArrays.contains(element.name)) {
        return std::nullopt;
    }
    return element.kind == 'd' ? opaque_form(options) : form_of(element, options);
}

std::optional<TypeForm> form_of(const TypeSchema& type, const ValueOptions& options)
{
    if (type.element) {
        return element_form_of(type, options) ? std::optional(TypeForm{ValueForm::array}) : std::nullopt;
    }
    const auto own = own_form(type, options);
    return own ? std::optional(TypeForm{*own}) : opaque_form(options);
}

int digits_of(const TypeSchema& type)
{
    if (type.name == "numeric") {
        // The scale is an eleven-bit signed number.
        return (((type.modifier - kModifierOffset) & kScaleMask) ^ kScaleSign) - kScaleSign;
    }
    return type.modifier >= 0 ? type.modifier : kMicrosecondDigits;
}

std::string unavailable_json(const TypeSchema& type, const TypeForm& form, const ValueOptions& options)
{
    std::string placeholder;
    switch (form.form) {
    case ValueForm::text:
    case ValueForm::hex_text:
        append_string(placeholder, kUnavailableValue);
        break;
    case ValueForm::bytes:
        append_base64_string(placeholder, kUnavailableValue);
        break;
    case ValueForm::hstore:
        append_string(placeholder, fmt::format(R"({{"{0}":"{0}"}})", kUnavailableValue));
        break;
    case ValueForm::hstore_map:
        return fmt::format(R"({{"{0}":"{0}"}})", kUnavailableValue);
    case ValueForm::array:
        return array_placeholder(type, options);
    default:
        return "null";
    }
    return placeholder;
}

} // namespace keyshift::cdc
