#pragma once
/// One connection of a node's stream, from the checks to its end. Everything here happens on the stream's thread.
///
///   WAL message -> decoder -> relation -> subscriptions (moves), snapshot window, ownership -> publisher (Kafka)
///   confirmed = min(recorded by Kafka, each subscription, unfinished moves, fence and open messages not yet in the catalog)

#include "cdc/lag_meter.hpp"
#include "cdc/source/control_session.hpp"
#include "cdc/source/pgoutput_decoder.hpp"
#include "cdc/source/relation_resolver.hpp"
#include "cdc/stream_state.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>

namespace keyshift::cdc {

class StreamSession {
public:
    /// Connects and checks; throws as NodeStream::run describes.
    StreamSession(StreamState& state, CatalogLink& catalog, std::stop_token stop);
    ~StreamSession();

    /// Streams until stop, then flushes and confirms. Returns also when a subscription needs the stream to go back.
    void run();

private:
    using Clock = std::chrono::steady_clock;

    void connect();
    void loop();
    void start_replication();
    /// Takes what is there without waiting for the network. False: nothing more.
    bool drain();
    void handle(const pg::WalMessage& message);
    void handle(const pg::Keepalive& keepalive);
    void on(const Nothing&) {}
    void on(const Begin& begin);
    void on(const Commit& commit);
    void on(const Change* change);
    void on(const std::shared_ptr<const Relation>& relation);
    void on(const Truncation& truncation);
    void on(const LogicalMessage& message);
    void on_own(const PlacementMessage& message);
    void on_own(const BarrierMessage& message);
    void on_own(const SnapshotMessage& message);
    void on_own(const HeartbeatMessage&) { heartbeat_due_ = true; own_only_ = true; }

    void publish(const CapturedRelation& captured, const Change& change);
    void publish_chunk();
    /// The epoch of an event of this bucket in the present transaction; nullopt: not this node's.
    std::optional<Epoch> epoch_of(const BucketOwnership* ownership);
    EventContext context(const CapturedRelation& captured, Epoch epoch, const Change& change) const;

    /// News from the catalog: history, tables, checked messages.
    void take_catalog_news();
    const CapturedTables& fresh_tables();
    void between_bursts();
    void confirm();
    void report();
    /// Keeps the connection alive while the thread waits elsewhere; throws when waiting makes no sense any more.
    void keep_alive();
    /// As keep_alive, and gives up on stop.
    void wait_step();
    void send_status(bool always);
    void finish();

    StreamState& state_;
    CatalogLink& catalog_;
    const std::stop_token stop_;
    pg::Connection schema_connection_;
    SchemaReader schemas_;
    Ownership ownership_;
    std::shared_ptr<const CatalogView> view_;
    std::uint64_t reading_ = 0;
    RelationResolver relations_;
    std::unique_ptr<ControlSession> control_;
    std::optional<pg::ReplicationConnection> replication_;
    EventPublisher* publisher_ = nullptr;
    PgoutputDecoder decoder_;
    LagMeter lag_;

    std::optional<Begin> transaction_; ///< the one that is being read
    bool skipped_ = false;             ///< it is in Kafka already
    bool own_only_ = false;            ///< so far it holds a heartbeat only
    std::shared_ptr<SnapshotChunk> chunk_; ///< to publish at the end of this transaction
    Lsn message_lsn_;
    Lsn position_;                     ///< everything below it has been read
    std::optional<Lsn> last_commit_;
    Lsn server_end_;
    Lsn confirmed_;
    Lsn sent_;                         ///< confirmed_ as last told to the server
    Clock::time_point sent_at_;
    Clock::time_point reported_at_;
    Clock::time_point heartbeat_at_;
    bool status_wanted_ = false;
    bool heartbeat_due_ = false;
};

} // namespace keyshift::cdc
