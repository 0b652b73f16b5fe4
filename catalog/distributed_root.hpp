#pragma once
/// A distributed table on one node: making its root and leaves, empty or out of the plain table that is there. Each call
/// runs inside the caller's transaction on that node and leaves the node complete: publication, local_* rows, triggers.

#include "catalog/node_sql.hpp"
#include "catalog/table_definition.hpp"

#include <map>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct DistributedRoot {
    TableDefinition definition; ///< of the plain table, or of the root on another node
    Group group;
    std::vector<std::string> key;
    std::map<BucketId, Placement> placement;
    std::map<std::string, pg::Address> addresses;
    bool captured = true;
    bool strict = false; ///< as make_strict()
};

/// Root and placeholders where the table is not yet; an empty plain table of that name gives way. Returns warnings.
std::vector<std::string> make_empty_root(pg::Connection& connection, const Node& node, const DistributedRoot& root);

/// Turns the plain table into the root, with its rows, sequences, incoming foreign keys and publications. The table is
/// locked ACCESS EXCLUSIVE until the transaction ends. Returns warnings.
std::vector<std::string> convert_table(pg::Connection& connection, const Node& node, DistributedRoot root);

/// The root's partitions, one a bucket; those that are there get the root's replica identity.
void create_leaves(pg::Connection& connection, const DistributedRoot& root);

/// What every node has beside the DDL: reject triggers on the leaves it does not own, its rows, the publication.
void join_group(pg::Connection& connection, const Node& node, const DistributedRoot& root);

/// local_bucket and local_placement of a whole group, for a node that does not know it yet.
void write_group_state(pg::Connection& connection, const Node& node, const Group& group,
                       const std::map<BucketId, Placement>& placement,
                       const std::map<std::string, pg::Address>& addresses);

} // namespace keyshift::catalog
