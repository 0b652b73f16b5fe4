#pragma once
/// The copy of a reference table on a node that is not its home: a plain table under the same name, so that foreign keys can
/// point at it, which only the session that keeps it may write.

#include "catalog/catalog.hpp"
#include "catalog/table_definition.hpp"

#include <map>
#include <string>
#include <vector>

namespace keyshift::catalog {

/// Those of the catalog that are reference tables, each behind the ones that its foreign keys point at.
std::vector<CapturedTable> reference_tables(pg::Connection& catalog);

/// Tables behind those that their foreign keys point at; a cycle keeps its order.
std::vector<CapturedTable> referenced_first(std::vector<CapturedTable> tables,
                                            const std::map<QualifiedName, TableDefinition>& definitions);

/// The table as a copy has it: no triggers of the user's (they have fired on the home), foreign keys deferrable (rows come one
/// by one, a transaction's together).
TableDefinition definition_of_copy(TableDefinition home);

/// Makes the copy, empty and waiting to be filled; an empty plain table of that name gives way. One that is there keeps its
/// rows and hears of the home's address. Inside the caller's transaction. Returns warnings; throws Error(refused) where the
/// node has rows of its own in a table of that name.
std::vector<std::string> make_reference_copy(pg::Connection& node, const TableDefinition& definition, const Node& home);
/// make_reference_copy of every reference table with another home, in the order of their foreign keys.
std::vector<std::string> make_reference_copies(pg::Connection& catalog, const Node& added, pg::Connection& to);

/// True: the node has a copy of that name, and nothing but its keeper can write it.
bool is_guarded_copy(pg::Connection& node, const QualifiedName& table);

/// Columns and primary key in one line, equal where rows of one can be written to the other; "" where there is no such table.
std::string shape_of_table(pg::Connection& node, const QualifiedName& table);

} // namespace keyshift::catalog
