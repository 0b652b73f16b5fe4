#pragma once
/// Comparing what is known of a table: with itself at another time, and with what the WAL announced.

#include "cdc/source/change.hpp"
#include "core/schema.hpp"

#include <string>

namespace keyshift::cdc {

/// Equal in everything but the version.
bool same_schema(const TableSchema& left, const TableSchema& right);

/// Two announcements that differ in OID and name at most.
bool same_look(const Relation& left, const Relation& right);

/// The table may have been the announced one: same columns, types and replica identity, and a key that agrees with it.
bool fits(const TableSchema& table, const Relation& relation);

/// Throws FatalError when the replica identity lacks a column of the key: an old row's key would not be in the WAL.
void check_identity(const Relation& relation, const TableSchema& table, const std::string& node);

} // namespace keyshift::cdc
