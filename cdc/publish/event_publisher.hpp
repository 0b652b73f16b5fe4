#pragma once
/// Writes one node's events to Kafka and knows how far they are acknowledged. Knows no PostgreSQL connection.
/// publish/commit/advance are called by the stream's thread; the publisher's own thread produces and commits;
/// acknowledged() and wait_acknowledged() may be called from any thread.
///
/// An event counts as acknowledged when its Kafka transaction has committed, so an older publisher of the same stream can
/// neither write behind a newer one nor believe that it did (docs/adr/0011).

#include "cdc/options.hpp"
#include "cdc/publish/partition_counts.hpp"
#include "cdc/publish/size_limits.hpp"
#include "cdc/source/change.hpp"
#include "core/change_event.hpp"
#include "core/error.hpp"
#include "core/schema.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyshift::metrics {
struct CdcMetrics;
}

namespace keyshift::cdc {

/// What stands around one change in its transaction.
struct EventContext {
    Origin origin;
    SourcePosition position;
    Lsn lsn;                             ///< of the WAL message (source.lsn)
    std::optional<Lsn> last_commit_lsn;  ///< end LSN of the commit before (source.sequence[0])
    std::int64_t commit_time_us = 0;     ///< since the Unix epoch
    std::uint32_t xid = 0;               ///< source.txId; 0: outside of transactions
    std::string_view snapshot = "false"; ///< source.snapshot; with anything else op is r
};

class EventPublisher {
public:
    /// `on_wait` is called every few ms while publish() waits for room (the stream answers keepalives there) and while a
    /// broker is asked; it may throw to give up. Creates topics as tables appear. `sizes` and `counts` live from one
    /// publisher of the stream to the next.
    EventPublisher(const CdcOptions& options, std::string node, std::string database, std::uint32_t timeline,
                   metrics::CdcMetrics& metrics, SizeLimits& sizes, PartitionCounts& counts,
                   std::function<void()> on_wait);
    ~EventPublisher();

    /// Shuts older publishers of this node's stream out at the broker. To be called by whoever holds the node's slot, before
    /// anything else; calls on_wait meanwhile. Throws FatalError naming the right that is missing.
    void take_over();
    /// What comes is of this transaction.
    void begin(const Begin& transaction);
    /// A message of pg_logical_emit_message; of a transaction's its place is between its changes.
    void message(const EventContext& context, const LogicalMessage& message);
    /// Encodes and produces the records of one change (0 to 3). A record that is too large for its topic goes to the
    /// dead-letter topic where the table's options say so; else FatalError. Throws TransientError when the producer died
    /// (make a new publisher, replay from the confirmed LSN).
    void publish(const EventContext& context, const TableSchema& table, const Change& change);
    /// The transaction's last change was handed over; everything up to end_lsn counts once all is acknowledged.
    void commit(Lsn commit_lsn, Lsn end_lsn);
    /// Whoever calls it has no more to publish at the moment: what there is goes out now.
    void nudge();
    /// Nothing of interest up to here (keepalive, foreign transactions, heartbeat).
    void advance(Lsn lsn);
    /// Debezium's heartbeat record and a progress record.
    void heartbeat(std::int64_t now_ms);
    /// How many records were handed over so far,
    std::uint64_t handed_over() const;
    /// and whether Kafka has so many of them. Any thread.
    bool delivered(std::uint64_t records) const;
    /// Writes a control record after all that was published before it is acknowledged, in order.
    void control(const ControlRecord& record);

    /// All events below this LSN are in Kafka (INV-CDC-1 rests on it).
    Lsn acknowledged() const;
    /// LSN of the newest progress record that Kafka acknowledged, at most ~60 ms (long transactions: ~210) behind
    /// acknowledged(). The slot is confirmed only up to here: so a slot beyond the last progress record is always a gap,
    /// also after SIGKILL.
    Lsn recorded() const;
    /// False: timed out. Sends at once instead of lingering.
    bool wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait);
    /// Acknowledged, and a progress record in Kafka says so.
    bool wait_recorded(Lsn lsn, std::chrono::milliseconds wait);
    /// Sends at once instead of lingering until everything below this LSN is recorded. Any thread.
    void hurry(Lsn lsn);
    /// Fewer, longer transactions spare the broker; what somebody waits for is sent and committed as before. Any thread.
    void long_transactions(bool wanted);
    /// Set when the producer is dead or a record was refused; the stream's thread must act on it.
    std::optional<ErrorParts> failure() const;
    /// Throws it: FatalError when a new publisher would meet it again (a record refused for good, a topic that has got
    /// more partitions), FencedError when a newer publisher has taken over, else TransientError.
    void check() const;
    /// "" while brokers answer.
    std::string broker_error() const;
    /// Records that went to the dead-letter topic and are acknowledged there. Any thread.
    std::uint64_t dead_letters() const;
    /// Bytes handed over and not yet written to Kafka: what the queues hold.
    std::size_t queued_bytes() const;
    /// Columns of `table` that its events leave out (name, type), because the type is not supported.
    std::vector<std::pair<std::string, std::string>> left_out(const TableSchema& table) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The farthest progress of a node that the control topic's end tells, behind the node's last gap, which is progress up to where
/// it ends (and has no end offsets). nullopt: none yet. Reads the topic's tail.
/// `on_wait` is called every few 100 ms meanwhile; it may throw to give up.
std::optional<ProgressRecord> last_progress(const CdcOptions& options, const std::string& node,
                                            const std::function<void()>& on_wait);

} // namespace keyshift::cdc
