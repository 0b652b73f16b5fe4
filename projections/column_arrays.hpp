#pragma once
/// Columns of a batch as one-dimensional arrays, which a statement unnests side by side: in PostgreSQL's binary format (array_send).

#include "core/pg/connection.hpp"
#include "projections/definition.hpp"
#include "projections/write_order.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::projections {

/// The parameters of a statement, in the order in which they were added.
class ColumnArrays {
public:
    /// Base column number `index` of the rows: as array of uuid, if it is one, else of text.
    void add_column(const BaseColumn& column, std::size_t index, const ChangeList& rows);
    /// Epoch, LSN and seq: three arrays of bigint.
    void add_versions(const ChangeList& rows);
    /// An array of text: t or f.
    void add_live(const ChangeList& rows);
    void add_texts(const std::vector<const std::string*>& values);
    void add_numbers(const std::vector<std::uint64_t>& values);
    /// They refer to this object.
    std::vector<pg::Parameter> parameters() const;

private:
    struct Array {
        std::string bytes;
        std::uint32_t type; ///< OID
        bool binary;
    };
    std::vector<Array> arrays_;
};

/// nullptr: NULL.
std::string binary_text_array(const std::vector<const std::string*>& values);
/// nullopt: a value is not in the form that PostgreSQL prints.
std::optional<std::string> binary_uuid_array(const std::vector<const std::string*>& values);
std::string binary_bigint_array(const std::vector<std::uint64_t>& values);

} // namespace keyshift::projections
