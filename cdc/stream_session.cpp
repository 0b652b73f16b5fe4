#include "cdc/stream_session.hpp"

#include "cdc/stream_report.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

constexpr std::chrono::milliseconds kStatusInterval{1000};
constexpr std::chrono::milliseconds kReportInterval{250};
/// While acknowledgements are outstanding they are looked at this often: feedback is never far behind (INV-OPS-3).
constexpr std::chrono::milliseconds kPendingPoll{10};
constexpr std::chrono::milliseconds kIdlePoll{200};
/// While the publisher has enough of the snapshot's rows.
constexpr std::chrono::milliseconds kFullPoll{1};
/// Messages handled between two looks at confirmations.
constexpr int kBurst = 2000;
/// A connection on which nothing has come for this long is asked for an answer; TCP's own limits (10 s of keepalive and 15 s
/// of probes, or 25 s without acknowledgement) do not see a proxy that has stopped forwarding.
constexpr std::chrono::seconds kSilence{5};
constexpr std::chrono::seconds kSilenceLimit{20};
/// Longest flush on shutdown.
constexpr std::chrono::seconds kFinishLimit{5};

pg::ConnectionSettings schema_settings(const catalog::Node& node)
{
    pg::ConnectionSettings settings = node.connection("cdc schema");
    settings.answer_limit = kSilenceLimit;
    return settings;
}

std::int64_t milliseconds_now()
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

void throw_if_stopped(const std::stop_token& stop, const std::string& node)
{
    if (stop.stop_requested()) {
        throw TransientError({"streaming from node " + node, "a stop was requested", ""});
    }
}

} // namespace

StreamSession::StreamSession(StreamState& state, CatalogLink& catalog, std::stop_token stop)
    : state_(state), stop_(std::move(stop)), schema_connection_(schema_settings(state.node)), catalog_(catalog),
      router_(
          state, catalog, schema_connection_, [this] { wait_step(); }, stop_),
      transactions_(state.options.max_transaction_memory, state.options.spool_directory,
                    {[this](const pg::WalMessage& message) { router_.handle(message); },
                     [this](Lsn end) { router_.seen_until(end); },
                     [this] {
                         pause();
                     }})
{
    connect();
    state_.on_wait = [this] {
        wait_step();
    };
}

StreamSession::~StreamSession()
{
    state_.on_wait = nullptr;
    state_.metrics.spooled_bytes.set(0);
    state_.subscriptions.break_transaction();
}

void StreamSession::connect()
{
    // Until there is more to look after while a broker is waited for.
    state_.on_wait = [stop = stop_, node = state_.node.name] {
        throw_if_stopped(stop, node);
    };
    replication_.emplace(state_.node.connection("cdc stream"));
    // What can be known before the slot is won: that it is there, on the server and timeline that it was made on.
    const std::optional<Lsn> kafka = state_.progress_so_far();
    const std::uint32_t known = state_.known_timeline(router_.view().timeline, router_.view().gap_accepted);
    const std::uint32_t timeline = check_identity(*replication_, schema_connection_, state_.node, known, kafka);
    if (state_.present_timeline != timeline) {
        state_.subscriptions.timeline_changed();
    }
    state_.present_timeline = timeline;
    // Another daemon may have got farther meanwhile, so this does not compare positions.
    const SlotFacts seen = check_slot(schema_connection_, state_.node, kafka, Lsn{UINT64_MAX});
    publisher_ = &state_.ensure_publisher(timeline);
    const std::map<std::uint32_t, Lsn> ancestors = replication_->ancestors(timeline);
    start_control(seen.confirmed);
    state_.reading.begin(seen.confirmed);
    const pg::PgoutputOptions options = state_.reading.options(replication_->server_version());
    start_replication(options);
    const SlotFacts slot = take_over(ancestors);
    confirmed_ = sent_ = slot.confirmed;
    server_end_ = slot.current;
    router_.begin(*publisher_, slot.confirmed);
    state_.metrics.connected.set(1);
    state_.set_state("streaming");
    log::info("cdc", "node={} streaming from {} slot={} pgoutput protocol {}, open transactions {}, values as {}",
              state_.node.name, slot.confirmed.to_string(), state_.node.slot, options.protocol, options.streaming,
              options.binary ? "binary" : "text");
}

/// Whoever has won the slot shuts older producers out, sees that it still holds the slot, and only then publishes: nothing of
/// an older one can land behind what comes now (INV-CDC-2). What Kafka has is read after that, when nobody adds to it.
SlotFacts StreamSession::take_over(const std::map<std::uint32_t, Lsn>& ancestors)
{
    state_.on_wait = [this] {
        throw_if_stopped(stop_, state_.node.name);
        throw_if_lost();
    };
    try {
        state_.take_over();
    } catch (...) {
        state_.on_wait = nullptr;
        throw;
    }
    state_.learn_position(ancestors, router_.view().gap_accepted);
    throw_if_lost();
    const SlotFacts slot = check_slot(schema_connection_, state_.node, state_.recorded(), router_.view().gap_accepted);
    if (slot.active_pid != replication_->backend_pid()) {
        throw TransientError({"streaming from node " + state_.node.name,
                              fmt::format("process {} reads slot {} by now", slot.active_pid, state_.node.slot),
                              "It is tried again; one daemon streams a node at a time."});
    }
    tell_gap(slot);
    return slot;
}

void StreamSession::throw_if_lost() const
{
    if (const std::optional<ErrorParts> lost = control_->lost()) {
        throw TransientError(
            {"streaming from node " + state_.node.name, lost->why, "It is tried again when the server answers."});
    }
}

void StreamSession::start_control(Lsn position)
{
    if (state_.publication_sound_until == Lsn{}) {
        state_.publication_sound_until = position;
    }
    control_ = std::make_unique<ControlSession>(state_.node, state_.options.heartbeat_interval,
                                                ControlSession::Callbacks{[this] { state_.wake.signal(); },
                                                                          [this] {
                                                                              return published_tables(*catalog_.view());
                                                                          }},
                                                state_.publication_sound_until);
    heard_at_ = Clock::now();
}

void StreamSession::run()
{
    try {
        loop();
    } catch (const TransientError&) {
        if (!stop_.stop_requested()) {
            throw;
        }
    }
    finish();
}

void StreamSession::loop()
{
    while (!stop_.stop_requested() && !must_begin_anew()) {
        const bool more = drain();
        between_bursts();
        const SnapshotPublication::Turn rows = router_.publish_rows();
        publisher_->nudge();
        if (!more && rows == SnapshotPublication::Turn::full) {
            replication_->wait_readable(kFullPoll, -1);
        } else if (!more && rows == SnapshotPublication::Turn::nothing) {
            const bool pending = confirmed_ < router_.position() || router_.in_transaction();
            replication_->wait_readable(pending ? kPendingPoll : kIdlePoll, state_.wake.fd());
            state_.wake.clear();
        }
    }
}

bool StreamSession::must_begin_anew() const
{
    // Only between transactions, so that Kafka gets no part of one twice.
    return !router_.in_transaction() && (state_.subscriptions.restart_wanted() || state_.reading.is_over(confirmed_));
}

bool StreamSession::drain()
{
    for (int count = 0; count < kBurst && !must_begin_anew(); ++count) {
        const pg::ReplicationConnection::Received received = receive();
        if (count == 0 && (received.message || received.keepalive)) {
            heard_at_ = Clock::now();
        }
        if (received.message) {
            server_end_ = std::max(server_end_, received.message->server_end);
            transactions_.handle(*received.message);
        } else if (received.keepalive) {
            server_end_ = std::max(server_end_, received.keepalive->server_end);
            router_.seen_until(received.keepalive->server_end); // also while transactions are open: they commit later
            status_wanted_ = status_wanted_ || received.keepalive->reply_requested;
        } else {
            return false;
        }
    }
    return true;
}

pg::ReplicationConnection::Received StreamSession::receive()
{
    try {
        return replication_->try_receive();
    } catch (const pg::TransientSqlError& error) {
        if (ReadingMode::is_failure(error.sqlstate())) {
            decoding_failed(error.parts());
        }
        throw;
    } catch (const pg::SqlError& error) {
        if (ReadingMode::is_failure(error.sqlstate())) {
            decoding_failed(error.parts());
        }
        throw;
    }
}

void StreamSession::decoding_failed(const ErrorParts& error)
{
    const std::string next = state_.reading.failed(state_.node, router_.position(), error);
    throw TransientError({error.what, error.why, next});
}

void StreamSession::between_bursts()
{
    router_.take_catalog_news();
    keep_alive();
    if (router_.take_activity()) {
        control_->note_activity();
    }
    if (router_.in_transaction()) {
        return;
    }
    const auto now = Clock::now();
    if (router_.take_heartbeat() || now - heartbeat_at_ >= state_.options.heartbeat_interval) {
        publisher_->heartbeat(milliseconds_now());
        heartbeat_at_ = now;
    }
    state_.subscriptions.at_boundary(router_.position());
}

void StreamSession::confirm()
{
    const Lsn recorded = state_.recorded().value_or(Lsn{});
    const Lsn least = std::min(recorded, router_.hold().value_or(recorded));
    if (least > confirmed_) {
        failpoint("cdc.confirm");
        confirmed_ = least;
    }
}

void StreamSession::wait_step()
{
    throw_if_stopped(stop_, state_.node.name);
    keep_alive();
    // A walsender whose reader takes nothing does not end, and the checkpoint that gives the slot up would wait for it.
    const auto slot = control_->slot();
    if (slot && slot->wal_status == "unreserved" && !publisher_->broker_error().empty()) {
        throw TransientError({"streaming from node " + state_.node.name,
                              "its slot is beyond max_slot_wal_keep_size, and Kafka takes nothing",
                              "The connection is closed for a moment, so that no checkpoint waits for it."});
    }
}

void StreamSession::pause()
{
    router_.take_catalog_news();
    wait_step();
}

void StreamSession::keep_alive()
{
    throw_if_lost();
    state_.publication_sound_until = control_->sound_until();
    if (const std::optional<ErrorParts> altered = control_->altered()) {
        throw FatalError(*altered);
    }
    check_silence();
    publisher_->check();
    confirm();
    send_status(false);
    report();
}

void StreamSession::check_silence()
{
    const auto now = Clock::now();
    if (now - heard_at_ < kSilence) {
        return;
    }
    // A server that decodes a large transaction may be silent on this connection, but then answers on the other.
    const auto silent =
        std::chrono::duration_cast<std::chrono::seconds>(now - std::max(heard_at_, control_->answered_at()));
    if (silent >= kSilenceLimit) {
        throw TransientError(
            {"streaming from node " + state_.node.name,
             fmt::format("the server has not answered for {} s on two open connections", silent.count()),
             "It is tried again on new connections. See whether host or network are down."});
    }
    if (now - pinged_at_ >= kSilence) {
        pinged_at_ = now;
        replication_->send_status(std::max(router_.position(), confirmed_), confirmed_, true);
    }
}

void StreamSession::send_status(bool always)
{
    const auto now = Clock::now();
    if (always || status_wanted_ || confirmed_ > sent_ || now - sent_at_ >= kStatusInterval) {
        replication_->send_status(std::max(router_.position(), confirmed_), confirmed_);
        sent_ = confirmed_;
        sent_at_ = now;
        status_wanted_ = false;
    }
}

void StreamSession::report()
{
    const auto now = Clock::now();
    if (now - reported_at_ < kReportInterval) {
        return;
    }
    reported_at_ = now;
    state_.metrics.spooled_bytes.set(static_cast<double>(transactions_.memory_bytes() + transactions_.file_bytes()));
    const double lag = router_.lag().seconds(state_.acknowledged(), LagMeter::Clock::now());
    report_stream(state_, *publisher_, {confirmed_, server_end_, lag, control_->slot()});
}

void StreamSession::finish()
{
    const auto end = Clock::now() + kFinishLimit;
    const Lsn wanted = state_.handed_over;
    while (stop_.stop_requested() && Clock::now() < end && !control_->lost() && !publisher_->failure() &&
           (!publisher_->wait_acknowledged(wanted, std::chrono::milliseconds(50)) ||
            state_.recorded().value_or(Lsn{}) < wanted)) {
        confirm();
        send_status(false);
    }
    confirm();
    send_status(true);
    replication_->finish();
}

} // namespace keyshift::cdc
