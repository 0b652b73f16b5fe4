#include "resharder/commands/facts.hpp"

#include "catalog/catalog.hpp"

#include <algorithm>

namespace keyshift::resharder {

namespace {

/// Bytes and estimated rows of all leaves of a root, by leaf name.
void add_sizes(pg::Connection& node, const QualifiedName& root, const std::string& name, GroupFacts& group)
{
    std::map<std::string, std::size_t, std::less<>> bucket_of_leaf;
    for (std::size_t bucket = 0; bucket < group.buckets.size(); ++bucket) {
        bucket_of_leaf[catalog::leaf_name(root, static_cast<BucketId>(bucket)).name] = bucket;
    }
    const auto rows =
        node.query("SELECT c.relname, pg_total_relation_size(c.oid), greatest(c.reltuples, 0)::bigint "
                   "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)",
                   {root.quoted()});
    for (int row = 0; row < rows.rows(); ++row) {
        const auto found = bucket_of_leaf.find(rows.text(row, 0));
        if (found != bucket_of_leaf.end() && group.buckets[found->second].owner == name) {
            group.buckets[found->second].bytes += rows.integer(row, 1);
            group.buckets[found->second].rows += rows.integer(row, 2);
        }
    }
}

} // namespace

pg::Connection& NodeConnections::to(const std::string& node)
{
    const auto found = open_.find(node);
    if (found != open_.end()) {
        return found->second;
    }
    return open_.emplace(node, pg::Connection(catalog::node(catalog_, node).connection(purpose_))).first->second;
}

ClusterFacts read_cluster(pg::Connection& catalog)
{
    ClusterFacts cluster;
    for (const catalog::Node& node : catalog::nodes(catalog)) {
        if (node.state == "active" || node.state == "draining") {
            cluster.nodes.push_back(node.name);
        }
    }
    std::sort(cluster.nodes.begin(), cluster.nodes.end());
    NodeConnections connections(catalog, "reshard plan");
    for (const catalog::Group& group : catalog::groups(catalog)) {
        GroupFacts facts{group.name, {}};
        std::vector<std::string> owners;
        for (const catalog::Placement& placement : catalog::placement(catalog, group.name)) {
            facts.buckets.push_back({placement.node, 0, 0});
            owners.push_back(placement.node);
        }
        std::sort(owners.begin(), owners.end());
        owners.erase(std::unique(owners.begin(), owners.end()), owners.end());
        for (const catalog::CapturedTable& table : catalog::tables_of_group(catalog, group.name)) {
            for (const std::string& owner : owners) {
                add_sizes(connections.to(owner), table.name, owner, facts);
            }
        }
        cluster.groups.push_back(std::move(facts));
    }
    return cluster;
}

} // namespace keyshift::resharder
