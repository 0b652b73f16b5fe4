#pragma once
/// How far each node has applied a generation, and whose word that is: keyshift.projection_progress on the nodes.

#include "projections/batch_writer.hpp"
#include "projections/projection_record.hpp"
#include "projections/target.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace keyshift::projections {

/// Fences off any earlier runner: whatever one with another owner epoch writes is refused. Returns the new one.
std::int64_t take_over(Target& target, const ProjectionRecord& record);
/// `highest`: of the epochs that the nodes know; `id`: of the generation's row in keyshift.projection. Larger than that of any
/// runner of an earlier projection of the same name, or of an earlier try of the same generation, whose rows were removed.
constexpr std::int64_t next_owner_epoch(std::int64_t highest, std::int64_t id)
{
    return std::max(highest + 1, id << 32);
}
/// The offset from which on a partition is applied: the least of the nodes, of which some have none. None has: `start`.
std::int64_t position_of(const std::vector<std::optional<std::int64_t>>& nodes, std::int64_t start);
/// The least of all nodes: each was told only of what all had, but one whose power failed may have lost what it had, with what it
/// was told. A node without progress has joined since the last run. Only where none has any, nothing was applied yet.
Offsets positions(Target& target, const ProjectionRecord& record);
/// From here on every node has this progress, on disk, and the writer may raise it as long as it is the owner. A node that was told
/// more must not be ahead with a bucket that has come to it since from one that lost its rows.
void anchor_progress(Target& target, const Definition& definition, const Offsets& positions, std::int64_t owner_epoch);

} // namespace keyshift::projections
