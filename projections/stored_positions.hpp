#pragma once
/// How far each node has applied a generation, and whose word that is: keyshift.projection_progress on the nodes.

#include "projections/batch_writer.hpp"
#include "projections/projection_record.hpp"
#include "projections/target.hpp"

namespace keyshift::projections {

/// Fences off any earlier runner: a zombie's progress write with a lower owner epoch is refused. Returns the new one.
std::int64_t take_over(Target& target, const Definition& definition);
/// The least of all nodes. A node without progress has joined since the last run: what it holds was copied from nodes that
/// have some. Only where none has any, nothing was applied yet.
Offsets positions(Target& target, const ProjectionRecord& record);
/// From here on every node has progress, so that the least of them covers each (a node that is told of a first batch must
/// not stand for another that a crash kept from it).
void anchor_progress(Target& target, const Definition& definition, const Offsets& positions, std::int64_t owner_epoch);

} // namespace keyshift::projections
