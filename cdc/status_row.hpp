#pragma once

#include "cdc/node_stream.hpp"

namespace keyshift::cdc {

/// Upserts the node's row of keyshift.stream_status.
void write_status_row(pg::Connection& catalog, const StreamStatus& status, std::uint64_t new_dead_letters = 0);

/// Takes note of a promotion that the stream went on through, unless another gap than `behind_gap` is accepted since.
void write_timeline(pg::Connection& catalog, const std::string& node, std::uint32_t timeline, Lsn behind_gap);

} // namespace keyshift::cdc
