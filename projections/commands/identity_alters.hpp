#pragma once
/// What a base table needs so that the WAL carries the old key of a projection's row.

#include "catalog/catalog.hpp"
#include "core/bucket_map.hpp"
#include "projections/definition.hpp"

#include <string>
#include <vector>

namespace keyshift::projections {

/// The ALTERs that the table's replica identity and the key's NOT NULL need on this node; empty: none. The name of the index
/// they make goes into the definition. `other_keys`: columns that other projections of the table need in the old row: there
/// is one replica identity for all of them.
std::vector<std::string> needed_alters(pg::Connection& node, Definition& definition,
                                       const catalog::CapturedTable& table, const BucketLayout& buckets,
                                       const std::vector<std::string>& other_keys);

} // namespace keyshift::projections
