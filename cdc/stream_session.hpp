#pragma once
/// One connection of a node's stream, from the checks to its end. Everything here happens on the stream's thread.
///
///   confirmed = min(recorded by Kafka, each subscription, unfinished moves, fence and open messages not yet in the catalog)

#include "cdc/change_router.hpp"
#include "cdc/source/control_session.hpp"
#include "cdc/source/streamed_transactions.hpp"
#include "cdc/stream_state.hpp"
#include "core/pg/replication_connection.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>

namespace keyshift::cdc {

class StreamSession {
public:
    /// Connects and checks; throws as NodeStream::run describes.
    StreamSession(StreamState& state, CatalogLink& catalog, std::stop_token stop);
    ~StreamSession();

    /// Streams until stop, then flushes and confirms. Returns also when a subscription needs the stream to go back, or
    /// another way of reading is due.
    void run();

private:
    using Clock = std::chrono::steady_clock;

    void connect();
    /// `position`: the publication is taken to have been whole there, when nobody looked before.
    void start_control(Lsn position);
    void start_replication(const pg::PgoutputOptions& options);
    void end_older_reader();
    SlotFacts take_over(const std::map<std::uint32_t, Lsn>& ancestors);
    void tell_gap(const SlotFacts& slot);
    /// The node has ended the control session.
    void throw_if_lost() const;
    void loop();
    /// A subscription needs the stream to begin anew at the slot's position, or nothing needs to be read in binary any more.
    bool must_begin_anew() const;
    /// Takes what is there without waiting for the network. False: nothing more.
    bool drain();
    pg::ReplicationConnection::Received receive();
    [[noreturn]] void decoding_failed(const ErrorParts& error);
    void between_bursts();
    void confirm();
    void report();
    /// Keeps the connection alive while the thread waits elsewhere; throws when waiting makes no sense any more.
    void keep_alive();
    /// As keep_alive, and gives up on stop, or to let the server give the slot up.
    void wait_step();
    /// As wait_step, in the middle of a long transaction.
    void pause();
    /// Throws TransientError when the server is out of reach though its connections are open.
    void check_silence();
    void send_status(bool always);
    void finish();

    StreamState& state_;
    const std::stop_token stop_;
    pg::Connection schema_connection_;
    CatalogLink& catalog_;
    ChangeRouter router_;
    StreamedTransactions transactions_;
    std::unique_ptr<ControlSession> control_;
    std::optional<pg::ReplicationConnection> replication_;
    EventPublisher* publisher_ = nullptr;
    Lsn server_end_;
    Lsn confirmed_;
    Lsn sent_; ///< confirmed_ as last told to the server
    Clock::time_point sent_at_;
    Clock::time_point heard_at_; ///< something came on the replication connection
    Clock::time_point pinged_at_;
    Clock::time_point reported_at_;
    Clock::time_point heartbeat_at_;
    bool status_wanted_ = false;
};

} // namespace keyshift::cdc
