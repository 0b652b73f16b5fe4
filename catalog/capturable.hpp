#pragma once
/// Whether a table can be captured where it is.

#include "catalog/node_access.hpp"
#include "core/names.hpp"

namespace keyshift::catalog {

/// Throws Error(refused) with the DDL that mends it: an unlogged table, or one whose UPDATE and DELETE would fail once it is
/// published.
void check_capturable(const OpenNode& open, const QualifiedName& table);

} // namespace keyshift::catalog
