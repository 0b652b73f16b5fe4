#pragma once
/// One column's text from PostgreSQL as Debezium's JSON value. Chosen once per column; appending allocates nothing for
/// the common types.

#include "cdc/options.hpp"
#include "cdc/publish/value_form.hpp"
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

    ValueForm form() const { return form_; }
    /// Appends the JSON of a value that is not NULL. Text that is not of the type becomes null (NaN of a precise
    /// numeric is the one case that the server can send).
    void append(std::string& out, std::string_view text) const;
    /// Appends Debezium's placeholder for an unchanged TOAST value of this type.
    void append_unavailable(std::string& out) const { out += unavailable_; }

private:
    ValueEncoder(const TypeSchema& type, ValueForm form);

    void append_decimal(std::string& out, std::string_view text) const;
    void append_temporal(std::string& out, std::string_view text) const;
    /// Appends the array that `text` begins with and removes it from there.
    void append_array(std::string& out, std::string_view& text) const;

    ValueForm form_;
    int digits_; ///< after the point: of a timestamp, or the scale of a numeric
    std::shared_ptr<const ValueEncoder> element_;
    std::string unavailable_;
};

} // namespace keyshift::cdc
