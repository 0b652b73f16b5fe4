#pragma once
/// What `doctor` finds about the copies of reference tables, and what `table show` says of them.

#include "catalog/finding.hpp"
#include "catalog/node_access.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <vector>

namespace keyshift::catalog {

/// Of one node: copies that are missing, open to writes, defined differently, not live, or hold rows in conflict.
void check_references(pg::Connection& catalog, const OpenNode& open, const std::vector<CapturedTable>& all,
                      std::vector<Finding>& findings);

/// [{"node","state","lag_seconds","conflicts","error"}], one for every node that is not the home.
nlohmann::json reference_copies(pg::Connection& catalog, std::int64_t table_id);

} // namespace keyshift::catalog
