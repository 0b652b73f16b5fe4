#pragma once
/// What a definition will cost, by the statistics of its base table (pg_class, pg_stats): as good as the last ANALYZE.

#include "catalog/catalog.hpp"
#include "projections/definition.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>

namespace keyshift::projections {

struct Estimate {
    std::int64_t rows = 0;  ///< over all nodes, each copy counted
    std::int64_t bytes = 0; ///< table and primary key, over all nodes
    /// Rows written for a change of one row of the base table that keeps its key; one that changes the key writes twice as many.
    std::int64_t writes = 1;
};

/// `nodes`: how many will have it.
Estimate estimate(pg::Connection& catalog, const Definition& definition, const catalog::CapturedTable& base,
                  std::size_t nodes);
/// {"estimated_rows","estimated_bytes","writes_per_change"}, into a plan.
void add_estimate(nlohmann::json& plan, const Estimate& estimate);

} // namespace keyshift::projections
