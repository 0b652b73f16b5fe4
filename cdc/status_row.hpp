#pragma once

#include "cdc/node_stream.hpp"

namespace keyshift::cdc {

/// Upserts the node's row of keyshift.stream_status.
void write_status_row(pg::Connection& catalog, const StreamStatus& status, std::uint64_t new_dead_letters = 0);

/// Takes note of a promotion that the stream went on through.
void write_timeline(pg::Connection& catalog, const std::string& node, std::uint32_t timeline);

} // namespace keyshift::cdc
