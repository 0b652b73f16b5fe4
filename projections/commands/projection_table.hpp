#pragma once
/// The tables of one generation on a node, and the view by which a projection is read.

#include "catalog/distributed_root.hpp"
#include "projections/definition.hpp"

#include <string>
#include <vector>

namespace keyshift::projections {

/// Its tables on every node, in the order in which they are made.
std::vector<QualifiedName> tables_of(const Definition& definition);
/// Their rows in the catalog: by these, moves and new nodes know them.
void record_tables(pg::Connection& catalog, const Definition& definition);
void forget_tables(pg::Connection& catalog, const Definition& definition);
/// CREATE OR REPLACE VIEW over the definition's generation.
std::string view_statement(const Definition& definition);
/// By which a projection is read, as it is to be.
struct ReadView {
    QualifiedName name;
    std::vector<ProjectedColumn> columns;
    std::string statement; ///< CREATE OR REPLACE VIEW
    std::string doing;     ///< "rebuilding projection NAME: generation 2"
    std::string next;      ///< what to do where views are in the way
};
ReadView read_view(const Definition& definition);
/// The view is this one from here on, and whoever may read it goes on. In the caller's transaction. Throws FatalError where other
/// views hang on columns that it has no more.
void turn_view(pg::Connection& connection, const ReadView& view);
/// Throws as turn_view does.
void refuse_views_in_the_way(pg::Connection& connection, const ReadView& view);
/// Empty, with its leaves, triggers and rows of local_table; what an earlier try has left gives way. Of `root` group,
/// placement and addresses count.
void make_generation(pg::Connection& connection, const catalog::Node& node, const Definition& definition,
                     catalog::DistributedRoot root);
/// Of a definition that every node has: on a node that joined later.
void make_where_missing(pg::Connection& connection, const Definition& definition);
void forget_progress(pg::Connection& connection, const Definition& definition);
/// Tables, registration and progress; in the caller's transaction. The view must not read it any more.
void drop_generation(pg::Connection& connection, const Definition& definition);

} // namespace keyshift::projections
