#pragma once
/// What the WAL says -> who wants it. Each change goes to the moves that subscribe to its bucket, to the snapshot's window,
/// and to the publisher when it is this node's own (Ownership). One session of a stream; the stream's thread.
///
///   WAL message -> decoder -> relation -> subscriptions (moves), snapshot window, ownership -> publisher (Kafka)

#include "cdc/lag_meter.hpp"
#include "cdc/snapshot_publication.hpp"
#include "cdc/source/binary_text.hpp"
#include "cdc/source/pgoutput_decoder.hpp"
#include "cdc/source/relation_resolver.hpp"
#include "cdc/stream_state.hpp"
#include "core/pg/replication_connection.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

namespace keyshift::cdc {

class ChangeRouter {
public:
    /// `wait_step` is called while the router waits for the catalog's word; it may throw to give up.
    ChangeRouter(StreamState& state, CatalogLink& catalog, pg::Connection& schema_connection,
                 std::function<void()> wait_step, std::stop_token stop);

    /// Every transaction with commit LSN >= `position` will come.
    void begin(EventPublisher& publisher, Lsn position);
    void handle(const pg::WalMessage& message);
    /// The server has sent everything that committed before `server_end`, if no transaction is under way.
    void seen_until(Lsn server_end);
    /// Hands a slice of the snapshot's rows to the publisher.
    SnapshotPublication::Turn publish_rows() { return publication_.publish(*publisher_, position_); }
    /// News from the catalog: history, tables, checked messages.
    void take_catalog_news();

    bool in_transaction() const { return transaction_.has_value(); }
    /// Everything below it has been read and handed on.
    Lsn position() const { return position_; }
    /// The slot must keep what comes from here on; nullopt: nothing holds it.
    std::optional<Lsn> hold();
    /// Since the last call: a transaction that is no heartbeat.
    bool take_activity() { return std::exchange(activity_, false); }
    /// Since the last call: our own heartbeat came by.
    bool take_heartbeat() { return std::exchange(heartbeat_, false); }
    LagMeter& lag() { return lag_; }
    const CatalogView& view() const { return *view_; }

private:
    struct Transaction {
        Begin begin;
        bool skipped = false;        ///< it is in Kafka already
        bool heartbeat_only = false; ///< so far
        std::uint64_t messages = 0;  ///< so far, of others than us
    };
    void on(const Nothing&) {}
    void on(const Begin& begin);
    void on(const Commit& commit);
    void on(const Change* change);
    void on(const std::shared_ptr<const Relation>& relation);
    void on(const Truncation& truncation);
    void on(const LogicalMessage& message);
    void publish_message(const LogicalMessage& message);
    void on_own(const PlacementMessage& message);
    void on_own(const BarrierMessage& message);
    void on_own(const SnapshotMessage& message);
    void on_own(const HeartbeatMessage&) { heartbeat_ = transaction_->heartbeat_only = true; }

    void publish(const CapturedRelation& captured, const Change& change);
    /// The table of rows with its options as they are now: rows that were read before a column was hidden hide it too.
    std::shared_ptr<const TableSchema> form_now(const SnapshotSource& source);
    /// The rows of a chunk go out from now on.
    void release(const std::shared_ptr<SnapshotChunk>& chunk);
    /// The epoch of an event of this bucket in the present transaction; nullopt: not this node's.
    std::optional<Epoch> epoch_of(const CapturedRelation& captured);
    /// Of rows of a table that is not distributed.
    Epoch plain_epoch(const TableSchema& table) const;
    EventContext context(const CapturedRelation& captured, Epoch epoch, const Change& change) const;
    void apply(const CheckedMessage& checked);
    const CapturedTables& fresh_tables();
    /// Whatever the catalog captures is known from here on, by its relations and its look.
    void learn_tables();

    StreamState& state_;
    CatalogLink& catalog_;
    const std::function<void()> wait_step_;
    const std::stop_token stop_;
    EventPublisher* publisher_ = nullptr;
    Ownership ownership_;
    std::shared_ptr<const CatalogView> view_;
    std::uint64_t reading_ = 0;
    SchemaReader schemas_;
    SchemaTimeline timeline_;
    CapturedForms forms_;
    RelationResolver relations_;
    BinaryText binary_;
    PgoutputDecoder decoder_;
    std::optional<Transaction> transaction_;             ///< the one that is being read
    std::vector<std::shared_ptr<SnapshotChunk>> chunks_; ///< whose high markers are in it
    SnapshotPublication publication_;
    Lsn message_lsn_;
    Lsn position_;
    std::optional<Lsn> last_commit_;
    std::int64_t last_commit_time_us_ = 0;
    LagMeter lag_;
    bool activity_ = false;
    bool heartbeat_ = false;
};

} // namespace keyshift::cdc
