#pragma once
/// Whether a table can be captured where it is.

#include "catalog/node_access.hpp"
#include "core/names.hpp"

#include <string>

namespace keyshift::catalog {

/// Throws Error(refused) for tables of the system, of a session and of Keyshift itself. `what` is done to the table.
void refuse_system_table(const std::string& what, const QualifiedName& table);
/// Throws Error(refused) with the DDL that mends it: an unlogged table, or one whose UPDATE and DELETE would fail once it is
/// published.
void check_capturable(const OpenNode& open, const QualifiedName& table);

} // namespace keyshift::catalog
