#pragma once

#include "cdc/node_stream.hpp"

namespace keyshift::cdc {

/// Upserts the node's row of keyshift.stream_status.
void write_status_row(pg::Connection& catalog, const StreamStatus& status);

} // namespace keyshift::cdc
