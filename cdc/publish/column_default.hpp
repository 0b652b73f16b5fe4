#pragma once
/// What stands for a column's value that is not there: Debezium 3.2's reading of column defaults
/// (PostgresDefaultValueConverter), and its zero of each type.

#include "cdc/publish/value_encoder.hpp"
#include "core/schema.hpp"

#include <string>

namespace keyshift::cdc {

/// The default that the column's schema shows, as JSON; empty: none. `encoder` is the column's own.
std::string schema_default(const ColumnSchema& column, const ValueEncoder& encoder);

/// What `before` shows of a column that the WAL did not carry.
std::string absent_value(const ColumnSchema& column, const ValueEncoder& encoder);

} // namespace keyshift::cdc
