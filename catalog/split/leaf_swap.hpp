#pragma once
/// Puts the twins of a bucket's leaves in their place, on the owner, for all tables of the group: one short transaction, tried
/// with lock timeouts of tens of milliseconds. Its COMMIT is the split: from there it only goes forward.

#include "catalog/split/leaf_twins.hpp"

#include <functional>
#include <vector>

namespace keyshift::catalog {

/// `after` runs at the end of the transaction. Returns for how many milliseconds writers of the group's tables waited at most.
/// Throws TransientError where a table's definition has changed since its twin was made.
double swap_leaf_twins(pg::Connection& node, const Split& split, const BucketLayout& before,
                       const std::vector<LeafTwin>& twins, const std::function<void()>& after, const OnlineWork& work);

} // namespace keyshift::catalog
