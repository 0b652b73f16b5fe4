#pragma once
/// The totals of a projection of groups beside the rows they are made of. Both are written in one transaction, so one statement
/// sees them agree at every moment, whatever is being written.

#include "catalog/node_access.hpp"
#include "projections/definition.hpp"

#include <cstdint>
#include <vector>

namespace keyshift::projections {

struct TotalsCheck {
    std::int64_t groups = 0;
    std::int64_t different = 0; ///< groups whose totals are not what their rows give
};
/// Of all nodes; zeros for a projection without groups.
TotalsCheck check_totals(std::vector<catalog::OpenNode>& nodes, const Definition& definition);
/// Makes the totals again from the rows on each node where they differ; the projection's writer waits meanwhile. How many
/// groups differed.
std::int64_t repair_totals(std::vector<catalog::OpenNode>& nodes, const Definition& definition);

} // namespace keyshift::projections
