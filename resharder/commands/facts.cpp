#include "resharder/commands/facts.hpp"

#include "catalog/catalog.hpp"
#include "core/backoff.hpp"

#include <algorithm>
#include <set>

namespace keyshift::resharder {

namespace {

/// One look at all leaves that their nodes own.
class Look {
public:
    Look(pg::Connection& catalog, NodeConnections& connections, ClusterFacts& cluster)
        : connections_(connections), cluster_(cluster)
    {
        for (GroupFacts& group : cluster_.groups) {
            tables_[group.name] = catalog::tables_of_group(catalog, group.name);
        }
    }

    void sizes()
    {
        // What was counted since, or where nothing is, as after a crash, what VACUUM or ANALYZE saw last.
        each_leaf("SELECT c.relname, pg_total_relation_size(c.oid), "
                  "coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples, 0)::bigint) "
                  "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)",
                  [](BucketFacts& bucket, const pg::Result& rows, int row) {
                      bucket.bytes += rows.integer(row, 1);
                      bucket.rows += rows.integer(row, 2);
                  });
    }

    /// Adds `times` the rows ever written, as the servers count them.
    void writes(double times)
    {
        each_leaf(
            "SELECT s.relname, coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0) "
            "FROM pg_inherits i JOIN pg_stat_user_tables s ON s.relid = i.inhrelid WHERE i.inhparent = to_regclass($1)",
            [times](BucketFacts& bucket, const pg::Result& rows, int row) {
                bucket.writes += times * static_cast<double>(rows.integer(row, 1));
            });
    }

private:
    template <typename Take>
    void each_leaf(const std::string& query, Take take)
    {
        for (GroupFacts& group : cluster_.groups) {
            std::set<std::string> owners;
            for (const auto& [number, bucket] : group.buckets) {
                owners.insert(bucket.owner);
            }
            for (const catalog::CapturedTable& table : tables_[group.name]) {
                const auto bucket_of = leaves(table.name, group);
                for (const std::string& owner : owners) {
                    const auto rows = connections_.to(owner).query(query, {table.name.quoted()});
                    for (int row = 0; row < rows.rows(); ++row) {
                        const auto found = bucket_of.find(rows.text(row, 0));
                        if (found != bucket_of.end() && group.buckets.at(found->second).owner == owner) {
                            take(group.buckets.at(found->second), rows, row);
                        }
                    }
                }
            }
        }
    }

    static std::map<std::string, BucketId, std::less<>> leaves(const QualifiedName& root, const GroupFacts& group)
    {
        std::map<std::string, BucketId, std::less<>> bucket_of;
        for (const auto& [bucket, facts] : group.buckets) {
            bucket_of[catalog::leaf_name(root, bucket).name] = bucket;
        }
        return bucket_of;
    }

    NodeConnections& connections_;
    ClusterFacts& cluster_;
    std::map<std::string, std::vector<catalog::CapturedTable>> tables_;
};

void read_nodes(pg::Connection& catalog, ClusterFacts& cluster)
{
    const auto rows = catalog.query("SELECT name, state = 'draining', capacity, disk_limit FROM keyshift.node "
                                    "WHERE state IN ('active', 'draining') ORDER BY name COLLATE \"C\"");
    for (int row = 0; row < rows.rows(); ++row) {
        NodeFacts node{std::string(rows.text(row, 0)), rows.real(row, 2), rows.boolean(row, 1)};
        if (!rows.is_null(row, 3)) {
            node.disk_limit = rows.integer(row, 3);
        }
        cluster.nodes.push_back(std::move(node));
    }
}

void read_groups(pg::Connection& catalog, ClusterFacts& cluster)
{
    for (const catalog::Group& group : catalog::groups(catalog)) {
        GroupFacts facts{group.name, {}};
        for (const auto& [bucket, placement] : catalog::placement(catalog, group.name)) {
            facts.buckets[bucket] = {placement.node};
        }
        const auto pins = catalog.query("SELECT bucket, node FROM keyshift.pin WHERE group_name = $1", {group.name});
        for (int row = 0; row < pins.rows(); ++row) {
            facts.buckets.at(static_cast<BucketId>(pins.integer(row, 0))).pinned = pins.text(row, 1);
        }
        cluster.groups.push_back(std::move(facts));
    }
}

void read_databases(NodeConnections& connections, ClusterFacts& cluster)
{
    for (NodeFacts& node : cluster.nodes) {
        if (node.disk_limit) {
            node.database_bytes =
                connections.to(node.name).query("SELECT pg_database_size(current_database())").integer(0, 0);
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

MoveCost read_cost(pg::Connection& catalog)
{
    const auto rows = catalog.query(
        "SELECT extract(epoch FROM switched_at - started_at)::float8, planned_bytes::float8 FROM keyshift.move "
        "WHERE switched_at IS NOT NULL AND started_at IS NOT NULL AND planned_bytes IS NOT NULL ORDER BY id DESC LIMIT 200");
    std::vector<PastMove> past;
    for (int row = 0; row < rows.rows(); ++row) {
        past.push_back({rows.real(row, 0), rows.real(row, 1)});
    }
    return learn_cost(past);
}

ClusterFacts read_cluster(pg::Connection& catalog, std::chrono::milliseconds sample)
{
    ClusterFacts cluster;
    read_nodes(catalog, cluster);
    read_groups(catalog, cluster);
    NodeConnections connections(catalog, "reshard plan");
    Look look(catalog, connections, cluster);
    look.sizes();
    read_databases(connections, cluster);
    if (sample.count() > 0) {
        const double seconds = std::chrono::duration<double>(sample).count();
        look.writes(-1 / seconds);
        sleep_for(sample, {});
        look.writes(1 / seconds);
    }
    return cluster;
}

} // namespace keyshift::resharder
