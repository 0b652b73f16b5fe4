#pragma once
/// Debezium's JSON of a value back to PostgreSQL's input text: the inverse of what capture writes (docs/debezium.md).
/// Pure. simdjson types stay out of this header's users' way except where events are decoded.

#include "projections/definition.hpp"

#include <simdjson.h>

#include <optional>
#include <string>

namespace keyshift::projections {

/// Why the JSON form of a column's values does not carry the whole value, so that it cannot be written to a projection, and
/// what to do; nullopt: it does.
struct Loss {
    std::string why; ///< "is ..."
    std::string next;
};
std::optional<Loss> lost_in_events(const BaseColumn& column);

/// Outer nullopt: the JSON is not of the column's type. Inner nullopt: NULL.
std::optional<std::optional<std::string>> decode_value(const BaseColumn& column, simdjson::dom::element json);

} // namespace keyshift::projections
