#pragma once
/// One column's text from PostgreSQL as Debezium's JSON value. Chosen once per column; appending allocates nothing for
/// the common types.

#include "cdc/options.hpp"
#include "cdc/publish/value_form.hpp"
#include "core/schema.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

class ValueEncoder {
public:
    /// nullopt: the type is not supported, its column is left out.
    static std::optional<ValueEncoder> for_type(const TypeSchema& type, const ValueOptions& options);

    ValueForm form() const { return form_.form; }
    /// A type without a form of its own, written as the bytes of its text.
    bool opaque() const { return form_.opaque; }
    /// Appends the JSON of a value that is not NULL. Text that is not of the type becomes null (NaN of a precise
    /// numeric is the one case that the server can send).
    void append(std::string& out, std::string_view text) const;
    /// append() writes null for it, though it is a value: NaN and the infinities of a precise numeric.
    bool loses(std::string_view text) const;
    /// Of a bytea's text: how many characters append() writes between the quotes. nullopt: of another type.
    std::optional<std::size_t> bytes_length(std::string_view text) const;
    /// The same as a header of a key change has it.
    void append_in_header(std::string& out, std::string_view text) const;
    /// Appends Debezium's placeholder for an unchanged TOAST value of this type.
    void append_unavailable(std::string& out) const { out += unavailable_; }

private:
    ValueEncoder(const TypeSchema& type, const TypeForm& form, const ValueOptions& options);

    void append_amount(std::string& out, std::string_view text) const;
    void append_decimal(std::string& out, std::string_view text) const;
    void append_temporal(std::string& out, std::string_view text) const;
    void append_bytes(std::string& out, std::string_view text) const;
    /// Appends the array that `text` begins with and removes it from there.
    void append_array(std::string& out, std::string_view& text) const;

    TypeForm form_;
    int digits_;               ///< after the point: of a timestamp, or the scale of a numeric
    bool coordinates_ = false; ///< an opaque type whose numbers are written as Java does
    char delimiter_ = ',';     ///< between an array's elements
    std::shared_ptr<const ValueEncoder> element_;
    std::string unavailable_;
};

} // namespace keyshift::cdc
