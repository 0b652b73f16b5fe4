#pragma once
/// Two nodes with their streams and the projections' service, as the daemon wires them. All rows of public.likes (keyed by
/// post_id) are on n1; projections are spread over both.

#include "cdc/node_stream.hpp"
#include "metrics/families.hpp"
#include "projections/projections.hpp"
#include "tests/catalog/cluster.hpp"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace keyshift::test {

class ProjectedCluster {
public:
    ProjectedCluster();
    ~ProjectedCluster();
    ProjectedCluster(const ProjectedCluster&) = delete;
    ProjectedCluster& operator=(const ProjectedCluster&) = delete;

    /// One more distributed table, with 4 buckets, whose rows are all on n1.
    void distribute(const std::string& table, const std::string& key) { cluster_.distribute(table, {key}, {}, 4); }
    /// Takes effect at the next start.
    projections::ProjectionOptions& options() { return projection_options_; }
    void start_projections();
    void stop_projections();
    /// create with --apply; nothing waits.
    void create(const std::string& name, const std::string& key, const std::string& sql);
    void create_and_wait(const std::string& name, const std::string& key, const std::string& sql);
    /// Waits until the query on the catalog gives "t"; false, with a failure, after a minute.
    bool wait_until(const std::string& query);
    /// Until Kafka has all that the nodes hold now.
    bool wait_until_captured();
    /// "missing/extra/different" as verify finds them.
    std::string verify(const std::string& name);
    /// Waits until the rows of a query over both nodes are these; what they were at the end.
    std::vector<std::string> rows_once(const std::string& query, const std::vector<std::string>& wanted);
    /// Live rows of a query over both nodes, sorted.
    std::vector<std::string> rows(const std::string& query);
    /// Names of all that a projection may leave on a node.
    std::string traces(std::size_t node);
    /// One record in the topic of public.likes, as the stream of n1 would write it.
    void produce(const std::string& key, const std::string& value, const std::string& position);

    pg::Connection connect(std::size_t node) const { return cluster_.connect(node); }
    pg::Connection& catalog() { return cluster_.catalog(); }

private:
    Cluster cluster_;
    cdc::CdcOptions options_;
    projections::ProjectionOptions projection_options_;
    metrics::Metrics metrics_;
    metrics::ProjectionMetrics projection_metrics_;
    std::vector<std::unique_ptr<metrics::CdcMetrics>> cdc_metrics_;
    std::vector<std::unique_ptr<cdc::NodeStream>> streams_;
    std::vector<std::jthread> stream_threads_;
    std::unique_ptr<projections::ProjectionService> service_;
    std::jthread service_thread_;
};

} // namespace keyshift::test
