#include "cdc/stream_session.hpp"

#include "core/failpoint.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <thread>

namespace keyshift::cdc {

namespace {

constexpr std::chrono::milliseconds kStatusInterval{1000};
constexpr std::chrono::milliseconds kReportInterval{250};
/// While acknowledgements are outstanding they are looked at this often: feedback is never far behind (INV-OPS-3).
constexpr std::chrono::milliseconds kPendingPoll{10};
constexpr std::chrono::milliseconds kIdlePoll{200};
/// Messages handled between two looks at confirmations.
constexpr int kBurst = 2000;
/// Another reader of the slot is given this long to go away.
constexpr std::chrono::seconds kSlotBusyLimit{60};
/// Longest flush on shutdown.
constexpr std::chrono::seconds kFinishLimit{5};

std::int64_t milliseconds_now()
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

} // namespace

StreamSession::StreamSession(StreamState& state, CatalogLink& catalog, std::stop_token stop)
    : state_(state), catalog_(catalog), stop_(std::move(stop)), schema_connection_(state.node.connection("cdc schema")),
      schemas_(schema_connection_, state.versions), relations_(schemas_, ownership_, [this]() -> const CapturedTables& { return fresh_tables(); })
{
    connect();
    start_replication();
    state_.on_wait = [this] { wait_step(); };
}

StreamSession::~StreamSession()
{
    state_.on_wait = nullptr;
    state_.subscriptions.break_transaction();
}

void StreamSession::connect()
{
    view_ = catalog_.fresh_view(stop_, CatalogLink::WhenAway::last_known);
    reading_ = catalog_.readings();
    ownership_.load(view_->history);
    state_.learn_position();
    const SlotFacts slot = check_slot(schema_connection_, state_.node, state_.recorded());
    confirmed_ = sent_ = position_ = slot.confirmed;
    server_end_ = slot.current;
}

void StreamSession::start_replication()
{
    replication_.emplace(state_.node.connection("cdc stream"));
    const auto identity = replication_->identify();
    check_identity(state_.node, identity);
    publisher_ = &state_.ensure_publisher(identity.timeline);
    control_ = std::make_unique<ControlSession>(state_.node, state_.options.heartbeat_interval, [this] { state_.wake.signal(); });
    try {
        replication_->start(state_.node.slot, state_.node.slot, Lsn{});
    } catch (const pg::TransientSqlError& error) {
        const auto now = Clock::now();
        state_.slot_busy_since = state_.slot_busy_since.value_or(now);
        if (error.sqlstate() == "55006" && now - *state_.slot_busy_since > kSlotBusyLimit) {
            const auto slot = read_slot(schema_connection_, state_.node.slot);
            throw FatalError({error.parts().what, fmt::format("{}; process {} on the server reads it", error.parts().why, slot ? slot->active_pid : 0),
                              "Only one daemon may run: stop the other reader, or end it with pg_terminate_backend()."});
        }
        throw;
    }
    state_.slot_busy_since.reset();
    publisher_->advance(position_);
    state_.handed_over = std::max(state_.handed_over, position_);
    state_.window.session_started();
    state_.subscriptions.session_started(position_);
    state_.metrics.connected.set(1);
    state_.set_state("streaming");
    log::info("cdc", "node={} streaming from {} slot={}", state_.node.name, position_.to_string(), state_.node.slot);
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
    while (!stop_.stop_requested() && !state_.subscriptions.restart_wanted()) {
        const bool more = drain();
        between_bursts();
        if (!more) {
            const bool pending = confirmed_ < position_ || transaction_;
            replication_->wait_readable(pending ? kPendingPoll : kIdlePoll, state_.wake.fd());
            state_.wake.clear();
        }
    }
}

bool StreamSession::drain()
{
    for (int count = 0; count < kBurst; ++count) {
        const pg::ReplicationConnection::Received received = replication_->try_receive();
        if (received.message) {
            handle(*received.message);
        } else if (received.keepalive) {
            handle(*received.keepalive);
        } else {
            return false;
        }
        if (!transaction_) {
            state_.subscriptions.at_boundary(position_);
        }
    }
    return true;
}

void StreamSession::handle(const pg::WalMessage& message)
{
    failpoint("cdc.receive");
    message_lsn_ = message.start;
    server_end_ = std::max(server_end_, message.server_end);
    std::visit([this](const auto& decoded) { on(decoded); }, decoder_.decode(message.start, message.payload));
}

void StreamSession::handle(const pg::Keepalive& keepalive)
{
    server_end_ = std::max(server_end_, keepalive.server_end);
    // Between transactions everything that committed before the server's end has been sent.
    if (!transaction_ && keepalive.server_end > position_) {
        position_ = keepalive.server_end;
        publisher_->advance(position_);
        state_.subscriptions.advance(position_);
    }
    status_wanted_ = status_wanted_ || keepalive.reply_requested;
}

void StreamSession::on(const Begin& begin)
{
    transaction_ = begin;
    skipped_ = begin.commit_lsn < state_.handed_over;
    own_only_ = false;
    state_.subscriptions.begin_transaction(begin.commit_lsn, begin.xid);
}

void StreamSession::on(const Commit& commit)
{
    if (chunk_) {
        publish_chunk();
    }
    if (skipped_) {
        publisher_->advance(commit.end_lsn);
    } else {
        publisher_->commit(commit.commit_lsn, commit.end_lsn);
        state_.handed_over = commit.end_lsn;
        lag_.committed(commit.end_lsn, transaction_->commit_time_us);
    }
    if (chunk_) {
        state_.window.published(commit.end_lsn);
        chunk_.reset();
    }
    state_.subscriptions.end_transaction({commit.commit_lsn, commit.end_lsn, transaction_->xid});
    state_.subscriptions.advance(commit.end_lsn);
    if (!own_only_) {
        control_->note_activity();
    }
    transaction_.reset();
    position_ = commit.end_lsn;
    last_commit_ = commit.end_lsn;
}

void StreamSession::on(const Change* change)
{
    const CapturedRelation* captured = relations_.resolve(change->relation, view_->tables);
    if (captured == nullptr) {
        return;
    }
    if (state_.subscriptions.any()) {
        state_.subscriptions.feed(*change, captured->group, captured->bucket);
    }
    publish(*captured, *change);
}

void StreamSession::on(const std::shared_ptr<const Relation>& relation)
{
    // Resolved here: the catalogs are then as near to this position as they can be.
    if (const CapturedRelation* captured = relations_.resolve(relation, view_->tables)) {
        const std::vector<std::pair<std::string, std::string>> left_out = EventPublisher::left_out(*captured->table);
        state_.update([&](StreamStatus& status) {
            for (const auto& [column, type] : left_out) {
                const std::pair entry(captured->table->root.to_string() + "." + column, type);
                if (std::ranges::find(status.left_out, entry) == status.left_out.end()) {
                    status.left_out.push_back(entry);
                }
            }
        });
    }
}

void StreamSession::on(const Truncation& truncation)
{
    Change change;
    change.kind = ChangeKind::truncate;
    change.lsn = truncation.lsn;
    change.seq = truncation.first_seq;
    for (const std::shared_ptr<const Relation>& relation : truncation.relations) {
        change.relation = relation;
        on(&change);
        ++change.seq;
    }
}

void StreamSession::on(const LogicalMessage& message)
{
    if (message.prefix != kMessagePrefix || !message.transactional || !transaction_) {
        return;
    }
    if (const std::optional<OwnMessage> own = parse_own_message(message.content)) {
        std::visit([this](const auto& kind) { on_own(kind); }, *own);
    }
}

void StreamSession::on_own(const PlacementMessage& message)
{
    const bool news = ownership_.announce(message, transaction_->commit_lsn);
    // An open is asked for in any case: its switch goes to the control topic.
    if (news || (message.kind == PlacementMessage::Kind::open && !skipped_)) {
        catalog_.check(message);
    }
}

void StreamSession::on_own(const BarrierMessage& message)
{
    state_.subscriptions.barrier(message.move, message.id, transaction_->commit_lsn);
}

void StreamSession::on_own(const SnapshotMessage& message)
{
    const DeliveredTransactions& delivered = state_.subscriptions.delivered();
    if (message.mark == SnapshotMessage::Mark::low) {
        state_.window.low(message.id, delivered);
    } else {
        chunk_ = state_.window.high(message.id, delivered);
        if (chunk_ && skipped_) {
            state_.window.retry();
            chunk_.reset();
        }
    }
}

void StreamSession::publish(const CapturedRelation& captured, const Change& change)
{
    if (state_.window.open()) {
        state_.window.note(*captured.table, captured.bucket, change);
    }
    if (skipped_) {
        return;
    }
    const std::optional<Epoch> epoch = epoch_of(captured.ownership);
    if (!epoch) {
        return;
    }
    const EventContext event = context(captured, *epoch, change);
    if (change.kind == ChangeKind::truncate) {
        publisher_->control(TruncateRecord{state_.node.name, captured.table->root.to_string(), captured.bucket, event.position});
    }
    publisher_->publish(event, *captured.table, change);
}

void StreamSession::publish_chunk()
{
    const SnapshotChunk& chunk = *chunk_;
    CapturedRelation captured{chunk.relation, chunk.table, chunk.group, chunk.bucket,
                              chunk.group.empty() ? nullptr : &ownership_.bucket(chunk.group, chunk.bucket)};
    const std::optional<Epoch> epoch = epoch_of(captured.ownership);
    const SnapshotRecord record{state_.node.name, chunk.table->root.to_string(), "begin", transaction_->commit_lsn};
    if (chunk.first) {
        publisher_->control(record);
    }
    Change change;
    change.relation = chunk.relation;
    change.lsn = message_lsn_;
    const int count = epoch ? chunk.rows->rows() : 0;
    bool first = chunk.first;
    for (int row = 0; row < count; ++row) {
        Tuple& tuple = change.after ? *change.after : change.after.emplace(chunk.relation->columns.size());
        for (int column = 0; column < chunk.rows->columns(); ++column) {
            const bool null = chunk.rows->is_null(row, column);
            tuple[static_cast<std::size_t>(column)] = {null ? Datum::Kind::null : Datum::Kind::text, chunk.rows->text(row, column)};
        }
        change.seq = static_cast<std::uint64_t>(row);
        if (state_.window.superseded(chunk, tuple)) {
            continue;
        }
        EventContext event = context(captured, *epoch, change);
        event.snapshot = chunk.last && row + 1 == count ? "last" : first ? "first" : "true";
        first = false;
        publisher_->publish(event, *chunk.table, change);
    }
    if (chunk.last) {
        SnapshotRecord end = record;
        end.phase = "end";
        publisher_->control(end);
    }
}

std::optional<Epoch> StreamSession::epoch_of(const BucketOwnership* ownership)
{
    if (ownership == nullptr) {
        return kPlainEpoch;
    }
    BucketOwnership::Answer answer = ownership->at(transaction_->commit_lsn);
    while (answer.verdict == BucketOwnership::Verdict::undecided) {
        wait_step();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        take_catalog_news();
        answer = ownership->at(transaction_->commit_lsn);
    }
    return answer.verdict == BucketOwnership::Verdict::publish ? std::optional(answer.epoch) : std::nullopt;
}

EventContext StreamSession::context(const CapturedRelation& captured, Epoch epoch, const Change& change) const
{
    EventContext event;
    event.origin = {state_.node.name, captured.bucket};
    event.position = {epoch, transaction_->commit_lsn, change.seq};
    event.lsn = change.lsn;
    event.last_commit_lsn = last_commit_;
    event.commit_time_us = transaction_->commit_time_us;
    event.xid = transaction_->xid;
    return event;
}

void StreamSession::take_catalog_news()
{
    if (const std::uint64_t readings = catalog_.readings(); readings != reading_) {
        const auto view = catalog_.view();
        const bool same_tables = view->tables == view_->tables;
        view_ = view;
        reading_ = readings;
        ownership_.load(view_->history);
        if (!same_tables) {
            relations_.forget();
        }
    }
    for (const CheckedMessage& checked : catalog_.take_checked()) {
        if (!checked.accepted) {
            log::warning("cdc", "node={} a {} message of move {} is ignored: the catalog knows no such move",
                         state_.node.name, checked.message.kind == PlacementMessage::Kind::fence ? "fence" : "open", checked.message.move);
            ownership_.reject(checked.message);
            continue;
        }
        ownership_.accept(checked.message);
        if (checked.message.kind == PlacementMessage::Kind::open) {
            publisher_->control(SwitchRecord{checked.message.group, checked.message.bucket, checked.message.epoch, checked.donor,
                                             state_.node.name});
        }
    }
}

const CapturedTables& StreamSession::fresh_tables()
{
    view_ = catalog_.fresh_view(stop_, CatalogLink::WhenAway::fail);
    return view_->tables;
}

void StreamSession::between_bursts()
{
    take_catalog_news();
    keep_alive();
    const auto now = Clock::now();
    if (!transaction_ && (heartbeat_due_ || now - heartbeat_at_ >= state_.options.heartbeat_interval)) {
        publisher_->heartbeat(milliseconds_now());
        heartbeat_at_ = now;
        heartbeat_due_ = false;
    }
    if (!transaction_) {
        state_.subscriptions.at_boundary(position_);
    }
}

void StreamSession::confirm()
{
    Lsn least = state_.recorded().value_or(Lsn{});
    if (const auto hold = state_.subscriptions.hold(view_->moves, reading_)) {
        least = std::min(least, *hold);
    }
    if (const auto hold = ownership_.hold()) {
        least = std::min(least, *hold);
    }
    if (least > confirmed_) {
        failpoint("cdc.confirm");
        confirmed_ = least;
    }
}

void StreamSession::wait_step()
{
    if (stop_.stop_requested()) {
        throw TransientError({"streaming from node " + state_.node.name, "a stop was requested", ""});
    }
    keep_alive();
}

void StreamSession::keep_alive()
{
    if (const std::optional<ErrorParts> lost = control_->lost()) {
        throw TransientError({"streaming from node " + state_.node.name, lost->why, "It is tried again when the server answers."});
    }
    if (const std::optional<ErrorParts> failure = publisher_->failure()) {
        throw TransientError(*failure);
    }
    confirm();
    send_status(false);
    report();
}

void StreamSession::send_status(bool always)
{
    const auto now = Clock::now();
    if (always || status_wanted_ || confirmed_ > sent_ || now - sent_at_ >= kStatusInterval) {
        replication_->send_status(std::max(position_, confirmed_), confirmed_);
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
    const double seconds = lag_.seconds(state_.acknowledged(), LagMeter::Clock::now());
    const std::optional<SlotFacts> slot = control_->slot();
    const Lsn current = std::max(server_end_, slot ? slot->current : Lsn{});
    const Lsn acknowledged = state_.acknowledged();
    const auto lag = static_cast<std::int64_t>(current > acknowledged ? current.value - acknowledged.value : 0);
    const std::string broker = publisher_->broker_error();
    state_.update([&](StreamStatus& status) {
        status.state = broker.empty() ? "streaming" : "waiting";
        status.confirmed_lsn = confirmed_;
        status.current_lsn = current;
        status.lag_bytes = lag;
        status.lag_seconds = seconds;
        if (broker.empty()) {
            status.error.reset();
        } else {
            status.error = ErrorParts{"writing events of node " + state_.node.name, broker, "Nothing is lost: it goes on when a broker answers."};
        }
        if (slot) {
            status.retained_bytes = slot->retained_bytes;
            status.wal_status = slot->wal_status;
        }
    });
    state_.metrics.lag_bytes.set(static_cast<double>(lag));
    state_.metrics.lag_seconds.set(seconds);
    state_.metrics.kafka_queue_bytes.set(static_cast<double>(publisher_->queued_bytes()));
    if (slot) {
        state_.metrics.retained_bytes.set(static_cast<double>(slot->retained_bytes));
        state_.metrics.wal_status(slot->wal_status);
    }
}

void StreamSession::finish()
{
    const auto end = Clock::now() + kFinishLimit;
    const Lsn wanted = state_.handed_over;
    while (stop_.stop_requested() && Clock::now() < end && !control_->lost() && !publisher_->failure() &&
           (!publisher_->wait_acknowledged(wanted, std::chrono::milliseconds(50)) || state_.recorded().value_or(Lsn{}) < wanted)) {
        confirm();
        send_status(false);
    }
    confirm();
    send_status(true);
    replication_->finish();
}

} // namespace keyshift::cdc
