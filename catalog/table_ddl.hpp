#pragma once
/// Writes a TableDefinition as DDL on a server: first the bare table (so that rows go in before there are indexes), then
/// the rest. Runs inside the caller's transaction.

#include "catalog/table_definition.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// CREATE TABLE with columns and NOT NULL; hash partitioned by `hash_key` unless that is empty. Sequences that defaults
/// name must be there.
void create_bare_table(pg::Connection& connection, const TableDefinition& table,
                       const std::vector<std::string>& hash_key);

/// Gives the table its owner. Returns a warning, else "", where that role does not exist.
std::string set_owner(pg::Connection& connection, const TableDefinition& table);

/// Constraints, indexes, triggers, settings, comments, grants and replica identity (of the table itself: leaves have their
/// own). Returns what could not be carried over and does no harm: grants that name a missing role.
std::vector<std::string> complete_table(pg::Connection& connection, const TableDefinition& table);

/// ALTER TABLE ... ADD CONSTRAINT, valid: a partitioned table has no NOT VALID foreign keys.
void add_constraint(pg::Connection& connection, const QualifiedName& table, const ConstraintDefinition& constraint);

/// Runs a statement; false (and nothing changed) when it fails with one of these SQLSTATEs.
bool run_unless(pg::Connection& connection, const std::string& sql, const std::vector<std::string>& tolerated);

} // namespace keyshift::catalog
