#pragma once
/// The first half of `table distribute`: every check, and all that the second half needs. Changes nothing.

#include "catalog/distributed_root.hpp"
#include "catalog/finding.hpp"
#include "catalog/node_access.hpp"
#include "catalog/operations.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::catalog {

/// All that the command needs, gathered before anything is touched.
struct DistributionWork {
    DistributedRoot root;
    std::vector<OpenNode> nodes;
    std::size_t holder = 0; ///< index of the node with the rows
    bool new_group = false;
    bool converted = false; ///< an earlier run committed on the holder and died before the catalog knew
    std::optional<CapturedTable> captured_before;
    std::vector<Finding> warnings;
};

/// "distributing public.posts": what an error of this command names.
std::string distributing(const Distribute& request);

DistributionWork prepare_distribution(pg::Connection& catalog, const Distribute& request);

} // namespace keyshift::catalog
