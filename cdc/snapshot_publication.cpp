#include "cdc/snapshot_publication.hpp"

#include <algorithm>
#include <utility>

namespace keyshift::cdc {

namespace {

/// Rows between two looks at the stream: a small part of a millisecond.
constexpr std::size_t kSliceRows = 200;
constexpr std::size_t kSliceBytes = 256U << 10U;
/// Rows leave the producer's queue this short, since events wait behind them in it.
constexpr std::size_t kQueueShare = 4U << 20U;

} // namespace

void SnapshotPublication::add(std::shared_ptr<SnapshotChunk> chunk, std::optional<EventContext> context)
{
    chunks_.push_back({std::move(chunk), std::move(context), 0});
}

SnapshotPublication::Turn SnapshotPublication::publish(EventPublisher& publisher, Lsn position)
{
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
    if (windows_.valid(*entry.chunk)) {
        publish_slice(entry, publisher);
    } else {
        windows_.again(entry.chunk);
        entry.next = entry.chunk->rows.rows();
        entry.chunk->rows.clear();
    }
    if (entry.next >= entry.chunk->rows.rows()) {
        entry.chunk->rows.clear();
        if (windows_.valid(*entry.chunk)) {
            windows_.published(entry.chunk, publisher.handed_over());
        }
        chunks_.pop_front();
    }
    return Turn::rows;
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
    bool first = !chunk.of->begun;
    if (first) {
        begin_table(entry, publisher);
    }
    if (!entry.context) {
        entry.next = chunk.rows.rows();
        return;
    }
    const std::shared_ptr<const TableSchema> form = form_(*chunk.source);
    EventContext& context = *entry.context;
    change_.relation = chunk.source->relation;
    change_.lsn = context.lsn;
    Tuple& row = change_.after ? *change_.after : change_.after.emplace();
    const std::size_t row_bytes = chunk.rows.bytes() / std::max<std::size_t>(chunk.rows.rows(), 1) + 1;
    const std::size_t count = std::clamp<std::size_t>(kSliceBytes / row_bytes, 1, kSliceRows);
    const std::size_t end = std::min(chunk.rows.rows(), entry.next + count);
    for (; entry.next < end; ++entry.next) {
        chunk.rows.read(entry.next, row);
        if (windows_.judge(chunk, row) == SnapshotWindows::Row::leave_out) {
            continue;
        }
        const bool last = chunk.last && entry.next + 1 == chunk.rows.rows();
        change_.seq = context.position.seq = entry.next;
        context.snapshot = chunk.of->again               ? "incremental"
                           : last                        ? "last"
                           : std::exchange(first, false) ? "first"
                                                         : "true";
        publisher.publish(context, *form, change_);
    }
}

} // namespace keyshift::cdc
