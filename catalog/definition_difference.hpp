#pragma once
/// Where two nodes define one table differently. Pure: works on definitions that were read.

#include "catalog/finding.hpp"
#include "catalog/table_definition.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

struct DefinitionOnNode {
    std::string node;
    int major = 0; ///< of the server: another one words expressions in another way
    TableDefinition table;
};

/// One finding a difference, on the node that lacks something; where both have it, on the second. The fix makes that node
/// as the other is; empty where it cannot be told.
std::vector<Finding> differences(const DefinitionOnNode& first, const DefinitionOnNode& second);

} // namespace keyshift::catalog
