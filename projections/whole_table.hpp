#pragma once
/// A definition that every node has whole (Definition::everywhere): nodes that joined after it was made get its table and its rows.
/// Of any other definition these do nothing.

#include "projections/projection_record.hpp"
#include "projections/target.hpp"

#include <set>
#include <string>

namespace keyshift::projections {

/// Throws Error(refused) when the projection is being dropped: nothing is made behind its back.
void make_missing_tables(pg::Connection& catalog, Target& target, const ProjectionRecord& record);
/// Nodes that are to have all rows and do not yet: those of a new generation, or one that joined later.
std::set<std::string> unfilled_nodes(const Target& target, const ProjectionRecord& record);
/// Reads the nodes again; true: they are others than before.
bool has_other_nodes(Target& target);

} // namespace keyshift::projections
