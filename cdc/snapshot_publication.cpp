#include "cdc/snapshot_publication.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace keyshift::cdc {

namespace {

/// Rows between two looks at the stream: a small part of a millisecond.
constexpr std::size_t kSliceRows = 200;
constexpr std::size_t kSliceBytes = 256U << 10U;
/// Rows leave the producer's queue this short, since events wait behind them in it.
constexpr std::size_t kQueueShare = 4U << 20U;
/// A row waits no longer to learn whether it is the last one: the next table may wait for a transaction to end.
constexpr std::chrono::seconds kPatience{10};

bool only_one_left(const SnapshotRun& run)
{
    return run.left == 1;
}

/// Of the row of an initial snapshot that goes out now. `nothing_behind`: nothing of its chunk comes after it.
std::string_view marker(const SnapshotChunk& chunk, bool nothing_behind)
{
    SnapshotTable& table = *chunk.of;
    const bool first_of_all = !table.run->row_out.exchange(true);
    const bool first_of_table = !table.row_out.exchange(true);
    if (nothing_behind && only_one_left(*table.run)) {
        return "last";
    }
    if (first_of_all) {
        return "first";
    }
    if (nothing_behind && table.left == 1) {
        return "last_in_data_collection";
    }
    return first_of_table ? "first_in_data_collection" : "true";
}

} // namespace

void SnapshotPublication::add(std::shared_ptr<SnapshotChunk> chunk, std::optional<EventContext> context)
{
    chunks_.push_back({std::move(chunk), std::move(context)});
}

SnapshotPublication::Turn SnapshotPublication::publish(EventPublisher& publisher, Lsn position)
{
    if (parked_ && (only_one_left(*parked_->chunk->of->run) || Clock::now() >= parked_until_)) {
        complete_parked(publisher);
    }
    if (chunks_.empty()) {
        for (const auto& source : windows_.take_ends()) {
            publisher.control(SnapshotRecord{node_, source->table->root.to_string(), "end", position});
        }
        return Turn::nothing;
    }
    if (publisher.queued_bytes() > kQueueShare) {
        return Turn::full;
    }
    Entry& entry = chunks_.front();
    if (!still_valid(entry)) {
        chunks_.pop_front();
        return Turn::rows;
    }
    publish_slice(entry, publisher);
    if (entry.next >= entry.chunk->rows.rows()) {
        Entry finished = std::move(entry);
        chunks_.pop_front();
        finish(std::move(finished), publisher);
    }
    return Turn::rows;
}

bool SnapshotPublication::still_valid(Entry& entry)
{
    if (windows_.valid(*entry.chunk)) {
        return true;
    }
    windows_.again(entry.chunk);
    entry.chunk->rows.clear();
    return false;
}

void SnapshotPublication::begin_table(const Entry& entry, EventPublisher& publisher)
{
    entry.chunk->of->begun = true;
    publisher.control(SnapshotRecord{node_, entry.chunk->source->table->root.to_string(), "begin",
                                     entry.context ? entry.context->position.commit_lsn : Lsn{}});
}

void SnapshotPublication::publish_slice(Entry& entry, EventPublisher& publisher)
{
    SnapshotChunk& chunk = *entry.chunk;
    if (!chunk.of->begun) {
        begin_table(entry, publisher);
    }
    if (!entry.context) {
        entry.next = chunk.rows.rows();
        return;
    }
    if (entry.held && windows_.judge(chunk, entry.held_row) == SnapshotWindows::Row::leave_out) {
        entry.held.reset();
    }
    const std::shared_ptr<const TableSchema> form = form_(*chunk.source);
    const std::size_t row_bytes = chunk.rows.bytes() / std::max<std::size_t>(chunk.rows.rows(), 1) + 1;
    const std::size_t count = std::clamp<std::size_t>(kSliceBytes / row_bytes, 1, kSliceRows);
    const std::size_t end = std::min(chunk.rows.rows(), entry.next + count);
    for (; entry.next < end; ++entry.next) {
        chunk.rows.read(entry.next, row_);
        if (windows_.judge(chunk, row_) == SnapshotWindows::Row::leave_out) {
            continue;
        }
        if (entry.held) {
            publish_held(entry, *form, publisher, false);
        }
        entry.held = entry.next;
        std::swap(entry.held_row, row_);
    }
}

void SnapshotPublication::publish_held(Entry& entry, const TableSchema& form, EventPublisher& publisher,
                                       bool last_of_chunk)
{
    const SnapshotChunk& chunk = *entry.chunk;
    if (parked_ && !chunk.of->again) {
        complete_parked(publisher); // it goes out before any other row of an initial snapshot
    }
    EventContext& context = *entry.context;
    context.snapshot = chunk.of->again ? "incremental" : marker(chunk, last_of_chunk && chunk.partly.empty());
    change_.relation = chunk.source->relation;
    change_.lsn = context.lsn;
    change_.seq = context.position.seq = *entry.held;
    std::swap(change_.after ? *change_.after : change_.after.emplace(), entry.held_row);
    publisher.publish(context, form, change_);
    sent_ = publisher.handed_over();
    entry.held.reset();
}

void SnapshotPublication::finish(Entry entry, EventPublisher& publisher)
{
    if (!entry.held || entry.chunk->of->again) {
        complete(std::move(entry), publisher);
        return;
    }
    if (parked_) {
        complete_parked(publisher);
    }
    windows_.free_room(*entry.chunk);
    parked_ = std::move(entry);
    parked_until_ = Clock::now() + kPatience;
}

void SnapshotPublication::complete_parked(EventPublisher& publisher)
{
    Entry entry = std::move(*std::exchange(parked_, std::nullopt));
    if (!still_valid(entry)) {
        return;
    }
    if (windows_.judge(*entry.chunk, entry.held_row) == SnapshotWindows::Row::leave_out) {
        entry.held.reset();
    }
    complete(std::move(entry), publisher);
}

void SnapshotPublication::complete(Entry entry, EventPublisher& publisher)
{
    if (entry.held) {
        publish_held(entry, *form_(*entry.chunk->source), publisher, true);
    }
    entry.chunk->rows.clear();
    windows_.published(entry.chunk, publisher.handed_over());
}

} // namespace keyshift::cdc
