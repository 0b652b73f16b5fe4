#pragma once
/// Completes a twin with the rows that nobody wrote since it was made, and waits until nobody can miss it.

#include "catalog/online/twin.hpp"

namespace keyshift::catalog {

/// Copies in transactions of a tenth of a second, each row under a key lock; a row that is locked by others for long is
/// waited for between transactions. Throws TransientError when stop is requested.
void fill_twin(pg::Connection& node, const Twin& twin, const OnlineWork& work);

/// Count and hash of both forms in one snapshot; throws FatalError where they differ.
void compare_twin(pg::Connection& node, const Twin& twin, const OnlineWork& work);

/// Until every snapshot sees all that was copied: one that is older would find the second form without those rows.
void wait_for_snapshots(pg::Connection& node, const Twin& twin, const OnlineWork& work);

} // namespace keyshift::catalog
