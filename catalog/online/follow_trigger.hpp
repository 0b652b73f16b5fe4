#pragma once
/// The triggers by which a twin follows its table, as SQL.

#include "catalog/table_definition.hpp"

#include <string>

namespace keyshift::catalog {

struct FollowTrigger {
    std::string function; ///< CREATE FUNCTION statements, in the twin's schema, with their maker's rights
    std::string attach;   ///< CREATE TRIGGER statements on the table, ENABLE ALWAYS
};

/// `table` is the first form, with a primary key; `twin` stands.
FollowTrigger follow_trigger(pg::Connection& node, const TableDefinition& table, const QualifiedName& twin);

} // namespace keyshift::catalog
