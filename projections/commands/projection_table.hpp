#pragma once
/// The table of one generation on a node, and the view by which a projection is read.

#include "catalog/distributed_root.hpp"
#include "projections/definition.hpp"

#include <string>

namespace keyshift::projections {

/// The projection's table as the partitioned root that catalog makes of it; without group and placement.
catalog::TableDefinition table_of(const Definition& definition);
/// CREATE OR REPLACE VIEW over the definition's generation.
std::string view_statement(const Definition& definition);
/// Empty, with its leaves, triggers and rows of local_table; what an earlier try has left gives way.
void make_generation(pg::Connection& connection, const catalog::Node& node, const Definition& definition,
                     catalog::DistributedRoot root);
void forget_progress(pg::Connection& connection, const Definition& definition);
/// Table, registration and progress; in the caller's transaction. The view must not read it any more.
void drop_generation(pg::Connection& connection, const Definition& definition);

} // namespace keyshift::projections
