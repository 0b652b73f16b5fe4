#include "cdc/stream_report.hpp"

#include <algorithm>

namespace keyshift::cdc {

void report_stream(StreamState& state, const EventPublisher& publisher, const StreamFigures& figures)
{
    const std::optional<SlotFacts>& slot = figures.slot;
    const Lsn current = std::max(figures.server_end, slot ? slot->current : Lsn{});
    const Lsn acknowledged = state.acknowledged();
    const auto lag_bytes = static_cast<std::int64_t>(current > acknowledged ? current.value - acknowledged.value : 0);
    const std::string broker = publisher.broker_error();
    state.update([&](StreamStatus& status) {
        status.state = broker.empty() ? "streaming" : "waiting";
        status.confirmed_lsn = figures.confirmed;
        status.current_lsn = current;
        status.lag_bytes = lag_bytes;
        status.lag_seconds = figures.lag_seconds;
        status.error.reset();
        if (!broker.empty()) {
            status.error = ErrorParts{"writing events of node " + state.node.name, broker,
                                      "Nothing is lost: it goes on when a broker answers."};
        }
        if (slot) {
            status.retained_bytes = slot->retained_bytes;
            status.wal_status = slot->wal_status;
        }
    });
    state.metrics.lag_bytes.set(static_cast<double>(lag_bytes));
    state.metrics.lag_seconds.set(figures.lag_seconds);
    state.metrics.kafka_queue_bytes.set(static_cast<double>(publisher.queued_bytes()));
    if (slot) {
        state.metrics.retained_bytes.set(static_cast<double>(slot->retained_bytes));
        state.metrics.wal_status(slot->wal_status);
    }
}

} // namespace keyshift::cdc
