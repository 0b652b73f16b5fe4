#pragma once
/// The logical messages `fence` and `open` in a node's WAL: only they change what its stream publishes, and only when move,
/// epoch and token agree with the catalog.

#include "core/lsn.hpp"
#include "core/pg/connection.hpp"
#include "resharder/bucket_move.hpp"

#include <string_view>

namespace keyshift::resharder {

/// Transactional, inside the caller's transaction. `type`: "fence" or "open".
void emit_control_message(pg::Connection& node, const BucketMove& move, std::string_view type, Lsn lsn);

} // namespace keyshift::resharder
