#pragma once

#include "cdc/source/slot_check.hpp"
#include "cdc/stream_state.hpp"

#include <optional>

namespace keyshift::cdc {

/// What a session knows of its stream at one moment.
struct StreamFigures {
    Lsn confirmed;
    Lsn server_end;
    double lag_seconds = 0;
    std::optional<SlotFacts> slot;
};
/// Puts it into the stream's status and metrics.
void report_stream(StreamState& state, const EventPublisher& publisher, const StreamFigures& figures);

} // namespace keyshift::cdc
