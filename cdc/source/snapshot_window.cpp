#include "cdc/source/snapshot_window.hpp"

#include <algorithm>
#include <utility>

namespace keyshift::cdc {

namespace {

/// Beyond this many changed keys chunks are read again rather than remember more (INV-OPS-1).
constexpr std::size_t kTouchedLimit = 100'000;
/// Bytes of rows that may wait for their publication.
constexpr std::size_t kBytesLimit = 6U << 20U;

/// Unique text of a row's key, into `text`. False: a key column is not in the row.
bool key_text(const TableSchema& table, const Tuple& row, std::string& text)
{
    text.clear();
    for (const std::size_t column : table.key) {
        if (row[column].kind != Datum::Kind::text) {
            return false;
        }
        text += row[column].text;
        text += '\0'; // in no text value of PostgreSQL
    }
    return true;
}

/// The new row lacks values that the old one does not give either.
bool lacks_values(const Change& change)
{
    if (!change.after) {
        return false;
    }
    for (std::size_t column = 0; column < change.after->size(); ++column) {
        const bool old_known = change.before && (*change.before)[column].kind == Datum::Kind::text;
        if ((*change.after)[column].kind == Datum::Kind::unchanged_toast && !old_known) {
            return true;
        }
    }
    return false;
}

} // namespace

void SnapshotWindows::expect(const std::shared_ptr<SnapshotChunk>& chunk)
{
    std::scoped_lock lock(mutex_);
    chunk->fate = SnapshotChunk::Fate::pending;
    known_[chunk->id] = chunk;
}

void SnapshotWindows::fill(const std::shared_ptr<SnapshotChunk>& chunk)
{
    std::scoped_lock lock(mutex_);
    if (chunk->fate == SnapshotChunk::Fate::pending) {
        filled_[chunk.get()] = chunk->rows.bytes();
        bytes_ += chunk->rows.bytes();
    }
}

void SnapshotWindows::forget(const std::shared_ptr<SnapshotChunk>& chunk)
{
    std::scoped_lock lock(mutex_);
    settle(*chunk, chunk->fate == SnapshotChunk::Fate::pending ? SnapshotChunk::Fate::again : chunk->fate,
           chunk->records);
    known_.erase(chunk->id);
}

SnapshotChunk::Fate SnapshotWindows::fate(const SnapshotChunk& chunk) const
{
    std::scoped_lock lock(mutex_);
    return chunk.fate;
}

bool SnapshotWindows::wait_room(std::stop_token stop) const
{
    std::unique_lock lock(mutex_);
    return changed_.wait(lock, stop, [this] { return bytes_ < kBytesLimit; });
}

bool SnapshotWindows::room() const
{
    std::scoped_lock lock(mutex_);
    return bytes_ < kBytesLimit;
}

void SnapshotWindows::end(const std::shared_ptr<const SnapshotSource>& source)
{
    std::scoped_lock lock(mutex_);
    ends_.push_back(source);
}

bool SnapshotWindows::ends_pending() const
{
    std::scoped_lock lock(mutex_);
    return !ends_.empty();
}

std::vector<std::shared_ptr<const SnapshotSource>> SnapshotWindows::take_ends()
{
    std::scoped_lock lock(mutex_);
    return std::exchange(ends_, {});
}

void SnapshotWindows::session_started()
{
    ++session_;
    all_again();
}

void SnapshotWindows::all_again()
{
    open_.clear();
    touched_.clear();
    std::scoped_lock lock(mutex_);
    for (const auto& [id, chunk] : known_) {
        if (chunk->fate == SnapshotChunk::Fate::pending) {
            settle(*chunk, SnapshotChunk::Fate::again, 0);
        }
    }
}

void SnapshotWindows::low(const std::string& id, const DeliveredTransactions& delivered)
{
    std::shared_ptr<SnapshotChunk> chunk;
    {
        std::scoped_lock lock(mutex_);
        const auto found = known_.find(id);
        if (found == known_.end() || found->second->fate != SnapshotChunk::Fate::pending) {
            return;
        }
        chunk = found->second;
    }
    const SnapshotSource& source = *chunk->source;
    auto touched = std::ranges::find_if(
        touched_, [&](const Touched& one) { return one.bucket == source.bucket && one.root == source.table->root; });
    if (touched == touched_.end()) {
        touched = touched_.insert(touched, {source.table->root, source.bucket, {}, 0});
    }
    ++touched->windows;
    // The marker's own transaction is the newest of those delivered and hurts nobody.
    open_[chunk.get()] = {chunk, touched, ++stamp_, delivered.total() - 1, false};
}

void SnapshotWindows::note(const TableSchema& table, BucketId bucket, const Change& change)
{
    const auto touched = std::ranges::find_if(
        touched_, [&](const Touched& one) { return one.bucket == bucket && one.root == table.root; });
    if (touched == touched_.end()) {
        return;
    }
    if (change.kind == ChangeKind::truncate) {
        spoil(*touched);
        return;
    }
    if (table.key.empty()) {
        return;
    }
    std::string key;
    bool known = false;
    if (change.before && key_text(table, *change.before, key)) {
        known = true;
        touched->keys[key] = {stamp_, change.kind == ChangeKind::update && lacks_values(change)};
    }
    // A key that is itself an unchanged TOAST value is known from the old row.
    if (change.after && key_text(table, *change.after, key)) {
        known = true;
        touched->keys[key] = {stamp_, lacks_values(change)};
    }
    if (!known) {
        spoil(*touched);
    } else if (touched->keys.size() > kTouchedLimit) {
        make_room(*touched);
    }
}

void SnapshotWindows::note_moved(const TableSchema& table, BucketId bucket, const Change& change, Lsn commit)
{
    // A whole old row lacks nothing; another one is there because the key changed.
    if (change.kind != ChangeKind::update || !change.before || !lacks_values(change)) {
        return;
    }
    RowKey from;
    RowKey to;
    for (const std::size_t column : table.key) {
        const Datum& before = (*change.before)[column];
        const Datum& after = (*change.after)[column];
        from.emplace_back(before.text);
        to.emplace_back(after.kind == Datum::Kind::text ? after.text : before.text);
    }
    moved_.note(table.root, bucket, std::move(from), std::move(to), commit);
}

void SnapshotWindows::spoil(const Touched& touched)
{
    for (auto& [chunk, window] : open_) {
        window.spoiled = window.spoiled || &*window.touched == &touched;
    }
}

void SnapshotWindows::make_room(Touched& touched)
{
    std::uint64_t oldest = UINT64_MAX;
    for (const auto& [chunk, window] : open_) {
        if (&*window.touched == &touched && !window.spoiled) {
            oldest = std::min(oldest, window.opened);
        }
    }
    std::erase_if(touched.keys, [oldest](const auto& entry) { return entry.second.stamp < oldest; });
    if (touched.keys.size() > kTouchedLimit / 2) {
        spoil(touched);
        touched.keys.clear();
    }
}

std::shared_ptr<SnapshotChunk> SnapshotWindows::high(const std::string& id, const DeliveredTransactions& delivered)
{
    std::shared_ptr<SnapshotChunk> chunk;
    bool filled = false;
    {
        std::scoped_lock lock(mutex_);
        const auto found = known_.find(id);
        if (found == known_.end() || found->second->fate != SnapshotChunk::Fate::pending) {
            return nullptr;
        }
        chunk = found->second;
        filled = filled_.contains(chunk.get());
    }
    const auto window = open_.find(chunk.get());
    const RowSnapshot& snapshot = chunk->snapshot;
    const bool right =
        filled && window != open_.end() && !window->second.spoiled &&
        !(chunk->source->keyed() && delivered.any_of_first(window->second.delivered_before,
                                                           [&](std::uint32_t xid) { return !snapshot.shows(xid); }));
    if (!right) {
        again(chunk);
        return nullptr;
    }
    return chunk;
}

SnapshotWindows::Row SnapshotWindows::judge(SnapshotChunk& chunk, const Tuple& row)
{
    const Window& window = open_.at(&chunk);
    if (window.touched->keys.empty()) {
        return Row::publish;
    }
    const TableSchema& table = *chunk.source->table;
    std::string key;
    if (!key_text(table, row, key)) {
        return Row::publish;
    }
    const auto touch = window.touched->keys.find(key);
    if (touch == window.touched->keys.end() || touch->second.stamp < window.opened) {
        return Row::publish;
    }
    if (touch->second.partly) {
        RowKey& values = chunk.partly.emplace_back();
        for (const std::size_t column : table.key) {
            values.emplace_back(row[column].text);
        }
    }
    return Row::leave_out;
}

bool SnapshotWindows::valid(const SnapshotChunk& chunk) const
{
    const auto window = open_.find(&chunk);
    return window != open_.end() && !window->second.spoiled;
}

void SnapshotWindows::published(const std::shared_ptr<SnapshotChunk>& chunk, std::uint64_t records)
{
    close(open_.find(chunk.get()));
    const SnapshotSource& source = *chunk->source;
    // Of rows that are read again by their keys, only those concern it that moved once more.
    chunk->moved = moved_.take(source.table->root, source.bucket, chunk->range.keys, chunk->id);
    std::scoped_lock lock(mutex_);
    if (chunk->partly.empty() && chunk->moved.keys.empty() && !chunk->moved.all) {
        chunk->unpublished.reset();
    }
    settle(*chunk, SnapshotChunk::Fate::published, records);
}

void SnapshotWindows::free_room(const SnapshotChunk& chunk)
{
    std::scoped_lock lock(mutex_);
    if (const auto filled = filled_.find(&chunk); filled != filled_.end()) {
        bytes_ -= filled->second;
        filled_.erase(filled);
        changed_.notify_all();
    }
}

void SnapshotWindows::again(const std::shared_ptr<SnapshotChunk>& chunk)
{
    if (const auto window = open_.find(chunk.get()); window != open_.end()) {
        close(window);
    }
    std::scoped_lock lock(mutex_);
    settle(*chunk, SnapshotChunk::Fate::again, 0);
}

void SnapshotWindows::close(Open::iterator window)
{
    const auto touched = window->second.touched;
    open_.erase(window);
    if (--touched->windows == 0) {
        touched_.erase(touched);
    }
}

void SnapshotWindows::settle(SnapshotChunk& chunk, SnapshotChunk::Fate fate, std::uint64_t records)
{
    chunk.fate = fate;
    chunk.records = records;
    chunk.session = session_.load();
    if (const auto filled = filled_.find(&chunk); filled != filled_.end()) {
        bytes_ -= filled->second;
        filled_.erase(filled);
    }
    changed_.notify_all();
}

} // namespace keyshift::cdc
