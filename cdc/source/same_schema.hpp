#pragma once

#include "core/schema.hpp"

namespace keyshift::cdc {

/// Equal in everything but the version.
bool same_schema(const TableSchema& left, const TableSchema& right);

} // namespace keyshift::cdc
