#pragma once
/// One column's text from PostgreSQL as Debezium's JSON value. Chosen once per column; appending allocates nothing for
/// the common types. Formats: Debezium 3.2 PostgreSQL connector, "Data type mappings" (docs/debezium.md has the table).

#include "cdc/options.hpp"
#include "core/schema.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

class ValueEncoder {
public:
    /// nullopt: the type is not supported, its column is left out.
    static std::optional<ValueEncoder> for_type(const TypeSchema& type, DecimalMode decimal);

    /// Appends the JSON of a value that is not NULL. Text that is not of the type becomes null (NaN of a precise
    /// numeric is the one case that the server can send).
    void append(std::string& out, std::string_view text) const;
    /// Debezium's placeholder for an unchanged TOAST value of this type.
    void append_unavailable(std::string& out) const;
    /// What stands for a value that the WAL does not carry in a NOT NULL column without constant default.
    void append_zero(std::string& out) const;

private:
    enum class Form {
        literal, boolean, real, decimal, variable_decimal, decimal_text, decimal_real, money, text, bytes, date, milliseconds_of_day,
        microseconds_of_day, zoned_time, milliseconds, microseconds, zoned_timestamp, interval, array
    };

    explicit ValueEncoder(Form form) : form_(form) {}
    static std::optional<Form> form_of(const TypeSchema& type, DecimalMode decimal);
    void append_decimal(std::string& out, std::string_view text) const;
    void append_temporal(std::string& out, std::string_view text) const;
    /// Appends the array that `text` begins with and removes it from there.
    void append_array(std::string& out, std::string_view& text) const;

    Form form_;
    int digits_ = 6; ///< after the point: of a timestamp, or the scale of a numeric
    std::shared_ptr<const ValueEncoder> element_;
};

} // namespace keyshift::cdc
