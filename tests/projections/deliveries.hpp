#pragma once
/// The real events of a table, given to the real writer of a projection in whatever order a test chooses, while no service
/// runs. What a test writes itself has numbers from kFirstOfTest on, and belongs to users from there on.

#include "catalog/node_access.hpp"
#include "projections/batch_writer.hpp"
#include "projections/event_mapper.hpp"
#include "projections/projection_record.hpp"
#include "tests/projections/projected_cluster.hpp"

#include <memory>
#include <string>
#include <vector>

namespace keyshift::test {

inline constexpr int kFirstOfTest = 1000;

using Events = std::vector<const kafka::Message*>;

/// Those of the rows whose column `id` has such a number, in the order of their positions. All that the nodes hold is there.
std::vector<kafka::Message> events_of(ProjectedCluster& cluster, const std::string& table, const std::string& id);

/// All orders of so many things where they are few; else the order that they have, its reverse and as many more as make up `most`.
std::vector<std::vector<std::size_t>> orders(std::size_t count, std::size_t most);

class Deliveries {
public:
    /// Of a projection of one table, or of one table of a projection of several.
    Deliveries(ProjectedCluster& cluster, const std::string& projection);

    /// From here on as a runner that owns the projection, until another one does.
    void take_over();
    /// As one batch, which the nodes hear of with the next one.
    void deliver(const Events& events);
    /// Rows of the base table as they are now, as the backfill would write them.
    std::vector<projections::RowChange> read_chunk(const std::string& condition);
    void deliver(std::vector<projections::RowChange> rows, const projections::Offsets& progress = {});
    /// As if nothing of the test's had been delivered.
    void clear();
    /// As ProjectedCluster::rows.
    std::vector<std::string> rows(const std::string& query);
    /// Groups whose totals are not those of their rows.
    std::int64_t wrong_totals();

private:
    ProjectedCluster& cluster_;
    std::vector<catalog::OpenNode> nodes_;
    projections::ProjectionRecord record_;
    projections::Target target_;
    projections::EventMapper mapper_;
    std::unique_ptr<projections::BatchWriter> writer_;
    bool owns_ = false;
};

} // namespace keyshift::test
