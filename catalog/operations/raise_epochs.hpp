#pragma once
/// The next epoch for everything that one node's events are of, when its stream begins anew behind a gap: the server may have lost
/// WAL whose events are in Kafka, and what it writes now must be newer than they are, though its LSNs may be lower.

#include "catalog/catalog.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

/// A bucket that is open on the node, and the epoch that it gets.
struct RaisedBucket {
    std::string group;
    BucketId bucket{};
    Epoch epoch{};
};

/// On the node, before the catalog knows: repeated, it does the same. Buckets that are closed there (an open or fence that a
/// standby lacks, a move between fence and switch) get their next epoch from the move.
std::vector<RaisedBucket> raise_epochs_on(pg::Connection& connection, pg::Connection& catalog, const Node& node,
                                          const std::vector<CapturedTable>& captured);
/// In the catalog, within the caller's transaction: from `begin` on the node's events have these epochs, as those of its tables
/// that are not distributed have the next of theirs. A move that has not fenced its bucket yet will give the one behind.
void record_raised_epochs(pg::Connection& catalog, const Node& node, const std::vector<RaisedBucket>& raised,
                          const std::vector<CapturedTable>& captured, Lsn begin);

} // namespace keyshift::catalog
