#pragma once
/// What stands in events in place of a column's values: a constant, a salted hash, or the beginning (Debezium 3.2's
/// column.mask.with..., column.mask.hash..., column.truncate.to...). Applied to PostgreSQL's text, before it becomes JSON.

#include "cdc/publish/value_encoder.hpp"
#include "core/capture_options.hpp"
#include "core/schema.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

class ColumnTreatment {
public:
    /// nullopt: the options leave the column as it is. Throws FatalError where they cannot be carried out: the column's
    /// type is another than it was, or there is no salt.
    static std::optional<ColumnTreatment> of(const TableSchema& table, const ColumnSchema& column,
                                             const std::string& salt_file);

    /// Appends the JSON that stands for a value; nullopt: NULL.
    void append(std::string& out, const ValueEncoder& encoder, std::optional<std::string_view> text) const;
    /// For an unchanged TOAST value.
    void append_unavailable(std::string& out, const ValueEncoder& encoder) const;
    /// For a column that an old row of the WAL lacks, whose JSON would be `filler`.
    std::string filler(const ValueEncoder& encoder, const std::string& filler) const;
    /// Of the column's schema: `"masked":"true"`.
    std::string schema_parameter() const;

private:
    enum class Kind : std::uint8_t { mask, hash, truncate };

    std::string hashed(std::string_view text) const;
    std::string_view cut(std::string_view text) const;

    Kind kind_ = Kind::mask;
    bool bytes_ = false;    ///< of a bytea: its text is \x and two digits a byte
    std::string constant_;  ///< of a mask, as JSON
    std::string salt_;      ///< of a hash
    std::size_t limit_ = 0; ///< characters that are kept of a text or a hash
};

} // namespace keyshift::cdc
