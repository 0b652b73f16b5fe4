#pragma once
/// Makes the ranges of a part: by place or by key, and several where the table is large enough to be read in parallel.

#include "cdc/source/chunk_reader.hpp"
#include "cdc/source/schema_reader.hpp"
#include "cdc/source/snapshot_work.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::cdc {

struct SnapshotPlan {
    std::shared_ptr<const SnapshotSource> source;
    std::string shape; ///< of the table, as TableFacts has it
    std::vector<SnapshotRange> ranges;
    std::optional<std::int64_t> estimate; ///< of the part's rows; nullopt: it was begun before
};

/// Describes the table and makes its ranges, or takes those that are left. A part that was not begun waits until no
/// transaction is left that had written to the table before: what it wrote before the table was published is in no event.
/// Throws FatalError when the table cannot be read.
SnapshotPlan plan_snapshot(pg::Connection& node, SchemaReader& schemas, const SnapshotPart& part, std::stop_token stop);

} // namespace keyshift::cdc
