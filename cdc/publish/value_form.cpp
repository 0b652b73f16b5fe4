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
const std::map<std::string_view, ValueForm> kForms{{"bool", ValueForm::boolean},
                                                   {"int2", ValueForm::literal},
                                                   {"int4", ValueForm::literal},
                                                   {"int8", ValueForm::literal},
                                                   {"oid", ValueForm::literal},
                                                   {"float4", ValueForm::single_real},
                                                   {"float8", ValueForm::double_real},
                                                   {"bytea", ValueForm::bytes},
                                                   {"hstore", ValueForm::hstore},
                                                   {"point", ValueForm::point},
                                                   {"date", ValueForm::date},
                                                   {"timetz", ValueForm::zoned_time},
                                                   {"timestamptz", ValueForm::zoned_timestamp},
                                                   {"interval", ValueForm::interval}};

/// Debezium has these types and not their arrays (nor arrays of domains); consumers of both see the same columns.
const std::set<std::string_view> kNoArrays{"money", "name", "interval", "xml", "varbit", "point"};
/// The arrays for which it has a placeholder.
const std::set<std::string_view> kTextArrays{"text", "varchar", "bpchar", "json", "jsonb"};
const std::set<std::string_view> kByteCodeArrays{"int4", "int8", "date"};
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

std::string array_placeholder(std::string_view element)
{
    std::string placeholder;
    if (kByteCodeArrays.contains(element)) {
        for (const char letter : kUnavailableValue) {
            placeholder += fmt::format("{}{}", placeholder.empty() ? "" : ",", static_cast<int>(letter));
        }
    } else if (element == "uuid") {
        append_string(placeholder, kUnavailableUuid);
    } else if (element == "bytea") {
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

std::optional<ValueForm> form_of(const TypeSchema& type, DecimalMode decimal)
{
    if (type.element) {
        TypeSchema element = *type.element;
        element.modifier = type.modifier;
        const bool supported = element.kind != 'd' && !kNoArrays.contains(element.name) && form_of(element, decimal);
        return supported ? std::optional(ValueForm::array) : std::nullopt;
    }
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
    const bool milliseconds = type.modifier >= 0 && type.modifier <= kMillisecondDigits;
    if (type.name == "numeric") {
        return numeric_form(type, decimal);
    }
    if (type.name == "money") {
        return money_form(decimal);
    }
    if (type.name == "time") {
        return milliseconds ? ValueForm::milliseconds_of_day : ValueForm::microseconds_of_day;
    }
    if (type.name == "timestamp") {
        return milliseconds ? ValueForm::milliseconds : ValueForm::microseconds;
    }
    if (type.name == "bit" || type.name == "varbit") {
        return type.modifier == 1 ? ValueForm::bit : ValueForm::bits;
    }
    const auto found = kForms.find(type.name);
    return found == kForms.end() ? std::nullopt : std::optional(found->second);
}

int digits_of(const TypeSchema& type)
{
    if (type.name == "numeric") {
        // The scale is an eleven-bit signed number.
        return (((type.modifier - kModifierOffset) & kScaleMask) ^ kScaleSign) - kScaleSign;
    }
    return type.modifier >= 0 ? type.modifier : kMicrosecondDigits;
}

std::string unavailable_json(const TypeSchema& type, ValueForm form)
{
    std::string placeholder;
    switch (form) {
    case ValueForm::text:
        append_string(placeholder, kUnavailableValue);
        break;
    case ValueForm::bytes:
        append_base64_string(placeholder, kUnavailableValue);
        break;
    case ValueForm::hstore:
        append_string(placeholder, fmt::format(R"({{"{0}":"{0}"}})", kUnavailableValue));
        break;
    case ValueForm::array:
        return array_placeholder(type.element->name);
    default:
        return "null";
    }
    return placeholder;
}

} // namespace keyshift::cdc
