#pragma once
/// One node's WAL to Kafka, and to the moves that subscribe: WalReader -> decoder -> ownership -> publisher -> confirm.
/// run() is one thread; status() and the StreamPort calls may come from any thread.

#include "catalog/catalog.hpp"
#include "cdc/options.hpp"
#include "cdc/source/subscription.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::metrics {
struct CdcMetrics;
}

namespace keyshift::cdc {

struct StreamStatus {
    std::string node;
    std::string state; ///< starting, streaming, waiting, stopped
    std::string slot;
    Lsn confirmed_lsn;
    Lsn current_lsn;
    std::int64_t lag_bytes = 0;
    double lag_seconds = 0;
    std::int64_t retained_bytes = 0;
    std::string wal_status;
    std::vector<std::pair<std::string, std::string>> left_out; ///< "schema.table.column", type
    std::optional<ErrorParts> error;
};

class NodeStream : public StreamPort {
public:
    NodeStream(catalog::Node node, pg::ConnectionSettings catalog, CdcOptions options, metrics::CdcMetrics& metrics);
    ~NodeStream() override;

    /// Streams until stop (then flushes, confirms and returns). Transient faults are retried inside with back-off;
    /// a FatalError (slot lost, timeline changed, record too large, ...) leaves the stream stopped: thrown, and kept in
    /// status() until run() is called again.
    void run(std::stop_token stop);
    StreamStatus status() const;
    /// Before run(): where `holds_claim` says that this daemon is the one that works, another daemon's reader of the slot is
    /// ended. Without it a slot that is read elsewhere is only waited for.
    void end_older_reader_when(std::function<bool()> holds_claim);

    std::unique_ptr<Subscription> subscribe(std::int64_t move, const std::string& group, BucketId bucket,
                                            std::optional<Lsn> from) override;
    bool wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait) override;
    bool wait_recorded(Lsn lsn, std::chrono::milliseconds wait) override;
    bool healthy() const override;
    void placement_changed() override;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace keyshift::cdc
