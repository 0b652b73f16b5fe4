#pragma once
/// Proof that core/bucket_map and a server put the same keys into the same buckets, asked of the server itself.

#include "core/bucket_map.hpp"
#include "core/pg/connection.hpp"

namespace keyshift::pg {

/// Compares some hundred keys of every KeyType, alone and in keys of several columns, with satisfies_hash_partition on
/// tables that exist only in a transaction that is rolled back (so nothing is left, and nothing is needed but the right to
/// create temporary tables). Throws FatalError naming type and node at the first difference.
void probe_buckets(Connection& connection);

} // namespace keyshift::pg
