#pragma once
/// What the role of a connection lacks of what Keyshift needs of it, each with the statement that gives it (docs/rights.md).
/// Asked of the server before anything is touched. A superuser lacks nothing.

#include "catalog/finding.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// For every node: REPLICATION, CREATE in the database, its own schema and publication ("": not asked).
std::vector<Finding> missing_on_node(pg::Connection& node, const std::string& publication);

/// To publish a table: to own it, or to be a member of its owner.
std::vector<Finding> missing_to_publish(pg::Connection& node, const QualifiedName& table);

/// To distribute and move a table that is there: also to make leaves in its schema and to give them its owner.
std::vector<Finding> missing_to_distribute(pg::Connection& node, const QualifiedName& table);

/// To make the table on a node that lacks it.
std::vector<Finding> missing_to_make(pg::Connection& node, const TableDefinition& table);

/// To make a relation in a schema, where that is there.
std::vector<Finding> missing_in_schema(pg::Connection& node, const std::string& schema);

/// Warnings: what is shown less of without, and roles that `init` could not make.
std::vector<Finding> wanted_on_node(pg::Connection& node);
std::vector<Finding> wanted_on_catalog(pg::Connection& catalog);

/// Throws RefusedError that names them all and their statements; returns when there are none.
void refuse_missing(const std::string& what, const std::vector<Finding>& missing);

} // namespace keyshift::catalog
