#pragma once
/// What the commands ask of the servers about a definition's base table, before anything is made.

#include "catalog/catalog.hpp"
#include "catalog/table_definition.hpp"
#include "projections/definition.hpp"
#include "projections/projections.hpp"
#include "projections/select_parser.hpp"

#include <string>
#include <vector>

namespace keyshift::projections {

/// "feed" of "feed__m2"; empty: not the name of a projection's member.
std::string projection_of_member(const std::string& name);
/// How events carry a type (pg_type.typname) under these settings of [cdc]: BaseColumn::form.
std::string form_of(const std::string& type, const EventForms& forms);
/// The captured table that the SELECT reads. Throws Error(refused) naming those there are.
catalog::CapturedTable find_base(pg::Connection& catalog, const ParsedSelect& select);
/// The nodes that have the table.
std::vector<catalog::Node> nodes_of(pg::Connection& catalog, const catalog::CapturedTable& table);
/// Checks the SELECT against the table on `node` and makes the definition. Throws Error(refused).
Definition define(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                  const catalog::CapturedTable& table);

/// The same for one table of several: `everywhere`, all its rows are on every node, and its key may be of any type.
Definition define_member(pg::Connection& node, const CreateRequest& request, const ParsedSelect& select,
                         const catalog::CapturedTable& table, bool everywhere);

} // namespace keyshift::projections
