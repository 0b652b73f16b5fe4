#include "cdc/change_router.hpp"

#include "core/failpoint.hpp"
#include "core/log.hpp"

#include <algorithm>
#include <thread>

namespace keyshift::cdc {

ChangeRouter::ChangeRouter(StreamState& state, CatalogLink& catalog, pg::Connection& schema_connection,
                           std::function<void()> wait_step, std::stop_token stop)
    : state_(state), catalog_(catalog), wait_step_(std::move(wait_step)), stop_(std::move(stop)),
      view_(catalog.fresh_view(stop_, CatalogLink::WhenAway::last_known)), reading_(catalog.readings()),
      schemas_(schema_connection, state.versions, &state.history), timeline_(schemas_, state.history, state.node.name),
      forms_(state.versions),
      relations_(schemas_, timeline_, forms_, ownership_, [this]() -> const CapturedTables& { return fresh_tables(); }),
      binary_(schema_connection), decoder_([this](Change& change) { binary_.translate(change); }),
      publication_(state.node.name, state.windows, [this](const SnapshotSource& source) { return form_now(source); })
{
    ownership_.load(view_->history);
    learn_tables();
}

void ChangeRouter::begin(EventPublisher& publisher, Lsn position)
{
    publisher_ = &publisher;
    publisher_->long_transactions(view_->moving);
    publication_.begin(publisher);
    position_ = position;
    // The slot may still lag behind what is recorded: the server takes a stream's last confirmation when it comes to it. An
    // older record after a newer one would make the slot look moved to whoever starts next.
    publisher_->advance(std::max(position_, state_.recorded().value_or(Lsn{})));
    state_.handed_over = std::max(state_.handed_over, position_);
    state_.windows.session_started();
    state_.subscriptions.session_started(position_);
}

void ChangeRouter::handle(const pg::WalMessage& message)
{
    failpoint("cdc.receive");
    message_lsn_ = message.start;
    std::visit([this](const auto& decoded) { on(decoded); }, decoder_.decode(message.start, message.payload));
    if (!transaction_) {
        state_.subscriptions.at_boundary(position_);
    }
}

void ChangeRouter::seen_until(Lsn server_end)
{
    if (!transaction_ && server_end > position_) {
        position_ = server_end;
        publisher_->advance(position_);
        state_.subscriptions.advance(position_);
    }
}

void ChangeRouter::on(const Begin& begin)
{
    relations_.transaction(begin.xid);
    transaction_ = {begin, begin.commit_lsn < state_.handed_over, false, 0};
    last_commit_time_us_ = begin.commit_time_us;
    publisher_->begin(begin);
    state_.subscriptions.begin_transaction(begin.commit_lsn, begin.xid);
}

void ChangeRouter::on(const Commit& commit)
{
    const Begin begin = transaction_->begin;
    for (const std::shared_ptr<SnapshotChunk>& chunk : std::exchange(chunks_, {})) {
        release(chunk);
    }
    if (transaction_->skipped) {
        publisher_->advance(commit.end_lsn);
    } else {
        publisher_->commit(commit.commit_lsn, commit.end_lsn);
        state_.handed_over = commit.end_lsn;
        lag_.committed(commit.end_lsn, begin.commit_time_us);
    }
    state_.subscriptions.end_transaction({commit.commit_lsn, commit.end_lsn, begin.xid});
    state_.subscriptions.advance(commit.end_lsn);
    state_.reading.committed(commit.end_lsn);
    activity_ = activity_ || !transaction_->heartbeat_only;
    transaction_.reset();
    position_ = commit.end_lsn;
    last_commit_ = commit.end_lsn;
}

void ChangeRouter::on(const Change* change)
{
    const CapturedRelation* captured = relations_.resolve(*change, view_->tables);
    if (captured == nullptr) {
        return;
    }
    if (state_.subscriptions.any()) {
        state_.subscriptions.feed(*change, captured->group, captured->bucket);
    }
    publish(*captured, *change);
}

void ChangeRouter::on(const std::shared_ptr<const Relation>& relation)
{
    // Resolved here: the catalogs are then as near to this position as they can be.
    if (const CapturedRelation* captured = relations_.resolve(relation, view_->tables, message_lsn_)) {
        const std::vector<std::pair<std::string, std::string>> left_out = publisher_->left_out(*captured->table);
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

void ChangeRouter::on(const Truncation& truncation)
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

void ChangeRouter::on(const LogicalMessage& message)
{
    if (message.prefix != kMessagePrefix) {
        publish_message(message);
        return;
    }
    if (!message.transactional || !transaction_) {
        return;
    }
    if (const std::optional<OwnMessage> own = parse_own_message(message.content)) {
        std::visit([this](const auto& kind) { on_own(kind); }, *own);
    }
}

void ChangeRouter::publish_message(const LogicalMessage& message)
{
    // A message's LSN is the end of its record: that of the commit which follows at once is the same, and is not behind it.
    const bool known = message.transactional ? transaction_->skipped : message.lsn <= state_.handed_over;
    if (known) {
        return;
    }
    EventContext event;
    event.origin = {state_.node.name, BucketId{0}};
    event.lsn = message.lsn;
    if (message.transactional) {
        event.position = {kMessageEpoch, transaction_->begin.commit_lsn, transaction_->messages++};
        event.last_commit_lsn = last_commit_;
        event.commit_time_us = transaction_->begin.commit_time_us;
        event.xid = transaction_->begin.xid;
        publisher_->message(event, message);
        return;
    }
    // It stands between transactions, whatever becomes of the one that wrote it, and has no time of its own.
    event.position = {kMessageEpoch, message.lsn, 0};
    event.last_commit_lsn = last_commit_ = message.lsn;
    event.commit_time_us = last_commit_time_us_;
    publisher_->message(event, message);
    state_.handed_over = message.lsn;
    activity_ = true;
}

void ChangeRouter::on_own(const PlacementMessage& message)
{
    // No row of before may reach Kafka after the bucket's next owner has begun.
    state_.windows.all_again();
    const bool news = ownership_.announce(message, transaction_->begin.commit_lsn);
    // An open is asked for in any case: its switch goes to the control topic.
    if (news || (message.kind == PlacementMessage::Kind::open && !transaction_->skipped)) {
        catalog_.check(message);
    }
}

void ChangeRouter::on_own(const BarrierMessage& message)
{
    state_.windows.all_again();
    const bool rows = !view_->snapshotting.empty() || !publication_.delivered(*publisher_);
    state_.subscriptions.barrier(message.move, {message.id, transaction_->begin.commit_lsn, rows});
    // Whoever waits for the barrier holds writers up.
    publisher_->hurry(transaction_->begin.commit_lsn);
}

void ChangeRouter::on_own(const SnapshotMessage& message)
{
    const DeliveredTransactions& delivered = state_.subscriptions.delivered();
    if (message.mark == SnapshotMessage::Mark::low) {
        state_.windows.low(message.id, delivered);
    } else if (const auto chunk = state_.windows.high(message.id, delivered)) {
        if (transaction_->skipped) {
            state_.windows.again(chunk);
        } else {
            chunks_.push_back(chunk);
        }
    }
}

void ChangeRouter::publish(const CapturedRelation& captured, const Change& change)
{
    if (state_.windows.open()) {
        state_.windows.note(*captured.table, captured.bucket, change);
    }
    if (!view_->snapshotting.empty() && view_->snapshotting.contains(captured.table->root)) {
        state_.windows.note_moved(*captured.table, captured.bucket, change, transaction_->begin.commit_lsn);
    }
    if (transaction_->skipped) {
        return;
    }
    const std::optional<Epoch> epoch = epoch_of(captured);
    if (!epoch) {
        return;
    }
    const EventContext event = context(captured, *epoch, change);
    if (change.kind == ChangeKind::truncate) {
        publisher_->control(
            TruncateRecord{state_.node.name, captured.table->root.to_string(), captured.bucket, event.position});
        // A distributed table is truncated leaf by leaf on all its nodes, and that is one event: the first bucket's.
        if (!captured.group.empty() && number(captured.bucket) != 0) {
            return;
        }
    }
    publisher_->publish(event, *captured.table, change);
}

Epoch ChangeRouter::plain_epoch(const TableSchema& table) const
{
    const auto found = view_->tables.by_name.find(table.root);
    return found == view_->tables.by_name.end() ? Epoch{1} : found->second.epoch;
}

void ChangeRouter::release(const std::shared_ptr<SnapshotChunk>& chunk)
{
    const SnapshotSource& source = *chunk->source;
    const CapturedRelation captured{source.relation,
                                    source.table,
                                    source.group,
                                    source.bucket,
                                    source.group.empty() ? nullptr : &ownership_.bucket(source.group, source.bucket),
                                    plain_epoch(*source.table),
                                    {},
                                    {}};
    Change marker;
    marker.lsn = message_lsn_;
    const std::optional<Epoch> epoch = epoch_of(captured);
    publication_.add(chunk, epoch ? std::optional(context(captured, *epoch, marker)) : std::nullopt);
}

std::shared_ptr<const TableSchema> ChangeRouter::form_now(const SnapshotSource& source)
{
    const auto table = view_->tables.by_name.find(source.table->root);
    if (table == view_->tables.by_name.end()) {
        throw TransientError({"writing rows of " + source.table->root.to_string(),
                              "the catalog has no such captured table any more, nor what its events may show", ""});
    }
    return forms_.of(source.table, table->second.options);
}

std::optional<Epoch> ChangeRouter::epoch_of(const CapturedRelation& captured)
{
    const BucketOwnership* ownership = captured.ownership;
    if (ownership == nullptr) {
        return captured.plain_epoch;
    }
    BucketOwnership::Answer answer = ownership->at(transaction_->begin.commit_lsn);
    while (answer.verdict == BucketOwnership::Verdict::undecided) {
        wait_step_();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        take_catalog_news();
        answer = ownership->at(transaction_->begin.commit_lsn);
    }
    return answer.verdict == BucketOwnership::Verdict::publish ? std::optional(answer.epoch) : std::nullopt;
}

EventContext ChangeRouter::context(const CapturedRelation& captured, Epoch epoch, const Change& change) const
{
    EventContext event;
    event.origin = {state_.node.name, captured.bucket};
    event.position = {epoch, transaction_->begin.commit_lsn, change.seq};
    event.lsn = change.lsn;
    event.last_commit_lsn = last_commit_;
    event.commit_time_us = transaction_->begin.commit_time_us;
    event.xid = transaction_->begin.xid;
    return event;
}

void ChangeRouter::take_catalog_news()
{
    if (const std::uint64_t readings = catalog_.readings(); readings != reading_) {
        const auto view = catalog_.view();
        const bool same_tables = view->tables == view_->tables;
        view_ = view;
        reading_ = readings;
        publisher_->long_transactions(view_->moving);
        state_.windows.moved().keep_only(view_->snapshotting);
        ownership_.load(view_->history);
        if (!same_tables) {
            relations_.forget();
            learn_tables();
        }
    }
    for (const CheckedMessage& checked : catalog_.take_checked()) {
        apply(checked);
    }
}

void ChangeRouter::apply(const CheckedMessage& checked)
{
    const PlacementMessage& message = checked.message;
    const bool open = message.kind == PlacementMessage::Kind::open;
    if (!checked.accepted) {
        log::warning("cdc", "node={} a message '{}' of move {} is ignored: the catalog knows no such move",
                     state_.node.name, open ? "open" : "fence", message.move);
        ownership_.reject(message);
        return;
    }
    ownership_.accept(message);
    if (open && checked.donor != state_.node.name) { // a split changes no node
        publisher_->control(
            SwitchRecord{message.group, message.bucket, message.epoch, checked.donor, state_.node.name});
    }
}

std::optional<Lsn> ChangeRouter::hold()
{
    const std::optional<Lsn> moves = state_.subscriptions.hold(view_->moves, reading_);
    const std::optional<Lsn> history = ownership_.hold();
    const std::optional<Lsn> moved_rows = state_.windows.moved().hold();
    std::optional<Lsn> least;
    for (const std::optional<Lsn>& hold : {moves, history, moved_rows}) {
        least = hold ? std::min(least.value_or(*hold), *hold) : least;
    }
    return least;
}

void ChangeRouter::learn_tables()
{
    if (view_->topic_clash) {
        throw FatalError(*view_->topic_clash);
    }
    schemas_.note_relations(view_->tables, state_.node.slot);
    timeline_.observe_new(view_->tables);
}

const CapturedTables& ChangeRouter::fresh_tables()
{
    view_ = catalog_.fresh_view(stop_, CatalogLink::WhenAway::fail);
    return view_->tables;
}

} // namespace keyshift::cdc
