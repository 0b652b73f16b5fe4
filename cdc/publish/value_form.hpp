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
    bytes,
    bit, ///< bit(1): a boolean
    bits,
    hstore, ///< JSON text of an object
    point,
    date,
    milliseconds_of_day,
    microseconds_of_day,
    zoned_time,
    milliseconds,
    microseconds,
    zoned_timestamp,
    interval,
    array
};

/// The type below any domains, with the modifier that counts.
TypeSchema bottom_type(const TypeSchema& type);

/// Of a bottom type; nullopt: it has none, its columns are left out.
std::optional<ValueForm> form_of(const TypeSchema& type, DecimalMode decimal);

/// Digits after the point: of a time or timestamp, or the scale of a numeric(p,s).
int digits_of(const TypeSchema& type);

/// What stands for an unchanged TOAST value, as JSON: Debezium's placeholder in the form of the type, or null.
std::string unavailable_json(const TypeSchema& type, ValueForm form);

} // namespace keyshift::cdc
