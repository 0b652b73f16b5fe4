#pragma once
/// What a move of a projection's bucket asks of the projections: their tables are in no publication, so such a move is a
/// copy under a lock that the projection's writer respects, not a stream.
///
/// The rule both sides keep: a projection's data transaction on a node locks `keyshift.local_bucket` rows of all buckets it
/// writes FOR SHARE and requires state 'open'; the mover locks that row FOR UPDATE on the donor from before the copy
/// until its fence transaction commits. Rows refused there are routed anew by the catalog's placement. A restarted
/// runner replays from the least progress of all nodes, and versions make the overlap harmless.
namespace keyshift::projections {
}
