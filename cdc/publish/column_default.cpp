#include "cdc/publish/column_default.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace keyshift::cdc {

namespace {

enum class Kind { none, constant, call, expression };

Kind kind_of(const ColumnSchema& column)
{
    return column.default_literal ? Kind::constant
           : !column.has_default  ? Kind::none
           : column.default_call  ? Kind::call
                                  : Kind::expression;
}

std::string encoded(const ValueEncoder& encoder, std::string_view text)
{
    std::string out;
    encoder.append(out, text);
    return out;
}

/// Debezium reads a constant of these only, of all that are written as text.
bool has_text_default(const TypeSchema& type)
{
    static constexpr std::array kNames{"text", "varchar", "bpchar", "uuid", "json", "jsonb", "xml"};
    return type.kind == 'e' || std::ranges::find(kNames, type.name) != kNames.end();
}

std::string zero(const ValueEncoder& encoder)
{
    switch (encoder.form()) {
    case ValueForm::boolean:
    case ValueForm::bit:
        return "false";
    case ValueForm::text:
    case ValueForm::bytes:
    case ValueForm::base64_text:
    case ValueForm::hex_text:
    case ValueForm::bits:
        return R"("")";
    case ValueForm::iso_date:
        return R"("1970-01-01Z")";
    case ValueForm::interval_text:
        return R"("P0Y0M0DT0H0M0S")";
    case ValueForm::hstore_map:
        return "{}";
    case ValueForm::hstore:
        return R"("{}")";
    case ValueForm::point:
        return encoded(encoder, "(0,0)");
    case ValueForm::array:
        return "[]";
    case ValueForm::single_real:
    case ValueForm::double_real:
    case ValueForm::decimal_real:
    case ValueForm::decimal:
    case ValueForm::variable_decimal:
    case ValueForm::decimal_text:
    case ValueForm::money:
    case ValueForm::money_real:
        return encoded(encoder, "0");
    case ValueForm::money_text:
        return R"("0.00")";
    case ValueForm::zoned_time:
    case ValueForm::iso_time:
        return R"("00:00:00Z")";
    case ValueForm::zoned_timestamp:
    case ValueForm::iso_timestamp:
        return R"("1970-01-01T00:00:00Z")";
    default:
        return "0";
    }
}

std::string text_default(const TypeSchema& type, Kind kind)
{
    if (type.name == "uuid") {
        return R"("00000000-0000-0000-0000-000000000000")";
    }
    if (type.name == "json" || type.name == "jsonb") {
        return R"("{}")";
    }
    return kind == Kind::call ? R"("")" : "";
}

/// Of a default that the server computes.
std::string computed_default(const TypeSchema& type, const ValueEncoder& encoder, Kind kind)
{
    switch (encoder.form()) {
    case ValueForm::text:
        return text_default(type, kind);
    case ValueForm::zoned_timestamp:
        return encoded(encoder, "1970-01-01 00:00:00+00");
    case ValueForm::boolean:
    case ValueForm::bit:
    case ValueForm::date:
    case ValueForm::milliseconds_of_day:
    case ValueForm::microseconds_of_day:
    case ValueForm::milliseconds:
    case ValueForm::microseconds:
    case ValueForm::connect_date:
    case ValueForm::connect_milliseconds_of_day:
    case ValueForm::connect_milliseconds:
    case ValueForm::iso_date:
    case ValueForm::iso_time:
    case ValueForm::iso_timestamp:
        return zero(encoder);
    default:
        return kind == Kind::call ? zero(encoder) : "";
    }
}

bool shows_defaults(const TypeSchema& type, const ValueEncoder& encoder)
{
    switch (encoder.form()) {
    case ValueForm::literal:
        return type.name != "oid";
    case ValueForm::text:
        return has_text_default(type);
    case ValueForm::money:
    case ValueForm::money_text:
    case ValueForm::money_real:
    case ValueForm::variable_decimal:
    case ValueForm::bytes:
    case ValueForm::base64_text:
    case ValueForm::hex_text:
    case ValueForm::hstore:
    case ValueForm::hstore_map:
    case ValueForm::point:
    case ValueForm::zoned_time:
    case ValueForm::array:
        return false;
    default:
        return true;
    }
}

} // namespace

std::string schema_default(const ColumnSchema& column, const ValueEncoder& encoder)
{
    const TypeSchema type = bottom_type(column.type);
    const Kind kind = kind_of(column);
    if (kind == Kind::none || !shows_defaults(type, encoder)) {
        return "";
    }
    return kind == Kind::constant ? encoded(encoder, *column.default_literal) : computed_default(type, encoder, kind);
}

std::string absent_value(const ColumnSchema& column, const ValueEncoder& encoder)
{
    if (!column.not_null) {
        return "null";
    }
    const std::string shown = schema_default(column, encoder);
    return shown.empty() ? zero(encoder) : shown;
}

} // namespace keyshift::cdc
