#pragma once
/// Which JSON form the values of a type have. Formats: Debezium 3.2 PostgreSQL connector, "Data type mappings"
/// (docs/debezium.md has the table).

#include "cdc/options.hpp"
#include "core/schema.hpp"

#include <cstdint>
#include <optional>

namespace keyshift::cdc {

enum class ValueForm : std::uint8_t {
    literal, ///< PostgreSQL's text is the JSON number
    boolean,
    single_real,
    double_real,
    decimal,          ///< base64 of the unscaled value
    variable_decimal, ///< the same with its scale
    decimal_text,
    decimal_real,
    money,
    money_text,
    money_real,
    text,
    bytes,       ///< base64
    base64_text, ///< the same, as a string and not as bytes to a schema
    hex_text,
    bit, ///< bit(1): a boolean
    bits,
    hstore,     ///< JSON text of an object
    hstore_map, ///< an object
    point,
    date,
    milliseconds_of_day,
    microseconds_of_day,
    zoned_time,
    milliseconds,
    microseconds,
    zoned_timestamp,
    connect_date, ///< Kafka Connect's own types, in milliseconds
    connect_milliseconds_of_day,
    connect_milliseconds,
    iso_date,
    iso_time,
    iso_timestamp,
    interval,
    interval_text,
    array
};

struct TypeForm {
    ValueForm form{};
    bool opaque = false; ///< a type without a form of its own: the bytes of its text are written
};

/// The type below any domains, with the modifier that counts.
TypeSchema bottom_type(const TypeSchema& type);

/// Of a bottom type; nullopt: it has none, its columns are left out.
std::optional<TypeForm> form_of(const TypeSchema& type, const ValueOptions& options);
/// Of an array's elements.
std::optional<TypeForm> element_form_of(const TypeSchema& array, const ValueOptions& options);
/// The type of an array's elements, with the modifier that counts.
TypeSchema element_type(const TypeSchema& array);

/// Digits after the point: of a time or timestamp, or the scale of a numeric(p,s).
int digits_of(const TypeSchema& type);

/// What stands for an unchanged TOAST value, as JSON: Debezium's placeholder in the form of the type, or null.
std::string unavailable_json(const TypeSchema& type, const TypeForm& form, const ValueOptions& options);

} // namespace keyshift::cdc
