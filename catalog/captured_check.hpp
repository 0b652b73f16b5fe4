#pragma once
/// What `keyshift doctor` finds of a captured table on a node that has it.

#include "catalog/catalog.hpp"
#include "catalog/finding.hpp"
#include "catalog/node_access.hpp"

#include <vector>

namespace keyshift::catalog {

/// Not in the publication, in it with another row filter, or without a replica identity.
void check_captured(const OpenNode& open, const CapturedTable& table, std::vector<Finding>& findings);

} // namespace keyshift::catalog
