#pragma once
/// A table's schema as JSON and back: the form of keyshift.schema_history. Private to the stream; members may be added.

#include "core/schema.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

std::string schema_to_json(const TableSchema& table);
/// nullopt: not written by schema_to_json. The version is 0: whoever takes it in numbers it.
std::optional<TableSchema> schema_from_json(std::string_view json);

} // namespace keyshift::cdc
