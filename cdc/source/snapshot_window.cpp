#include "cdc/source/snapshot_window.hpp"

namespace keyshift::cdc {

namespace {

/// Beyond this many changed keys a chunk is read again rather than remember more (INV-OPS-1).
constexpr std::size_t kTouchedLimit = 500'000;

/// Unique text of a row's key; nullopt when a key column is not in the row.
std::optional<std::string> key_text(const TableSchema& table, const Tuple& row)
{
    std::string text;
    for (const std::size_t column : table.key) {
        if (row[column].kind != Datum::Kind::text) {
            return std::nullopt;
        }
        text += row[column].text;
        text += '\0'; // in no text value of PostgreSQL
    }
    return text;
}

} // namespace

void SnapshotWindow::expect(std::shared_ptr<SnapshotChunk> chunk)
{
    std::scoped_lock lock(mutex_);
    chunk_ = std::move(chunk);
    filled_ = false;
    outcome_.reset();
}

void SnapshotWindow::fill()
{
    std::scoped_lock lock(mutex_);
    filled_ = true;
}

SnapshotWindow::Outcome SnapshotWindow::wait(std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [this] { return outcome_.has_value(); });
    chunk_.reset();
    return outcome_.value_or(Outcome{});
}

void SnapshotWindow::session_started()
{
    ++session_;
    open_ = false;
    current_.reset();
    touched_.clear();
    finish(false, {});
}

void SnapshotWindow::low(const std::string& id, const DeliveredTransactions& delivered)
{
    {
        std::scoped_lock lock(mutex_);
        if (!chunk_ || chunk_->id != id) {
            return;
        }
        current_ = chunk_;
    }
    open_ = true;
    spoiled_ = false;
    touched_.clear();
    // The marker's own transaction is the newest of them and hurts nobody.
    delivered_before_ = delivered.total() - 1;
}

void SnapshotWindow::note(const TableSchema& table, BucketId bucket, const Change& change)
{
    if (current_->bucket != bucket || current_->table->root != table.root || !current_->keyed) {
        return;
    }
    if (change.kind == ChangeKind::truncate || touched_.size() > kTouchedLimit) {
        spoiled_ = true;
        return;
    }
    const bool old_known = change.before && note_key(table, *change.before);
    const bool new_known = change.after && note_key(table, *change.after);
    // A key that is itself an unchanged TOAST value is known from the old row.
    spoiled_ = spoiled_ || !(old_known || new_known);
}

bool SnapshotWindow::note_key(const TableSchema& table, const Tuple& row)
{
    auto key = key_text(table, row);
    if (key) {
        touched_.insert(std::move(*key));
    }
    return key.has_value();
}

std::shared_ptr<SnapshotChunk> SnapshotWindow::high(const std::string& id, const DeliveredTransactions& delivered)
{
    {
        std::scoped_lock lock(mutex_);
        if (!chunk_ || chunk_->id != id) {
            return nullptr;
        }
        if (!filled_ || !open_) {
            spoiled_ = true;
        }
    }
    if (!open_ || spoiled_ || current_->id != id) {
        retry();
        return nullptr;
    }
    const RowSnapshot& snapshot = current_->snapshot;
    if (current_->keyed &&
        delivered.any_of_first(delivered_before_, [&](std::uint32_t xid) { return !snapshot.shows(xid); })) {
        retry();
        return nullptr;
    }
    open_ = false;
    return current_;
}

bool SnapshotWindow::superseded(const SnapshotChunk& chunk, const Tuple& row) const
{
    if (!chunk.keyed || touched_.empty()) {
        return false;
    }
    const auto key = key_text(*chunk.table, row);
    return key && touched_.contains(*key);
}

void SnapshotWindow::published(Lsn end_lsn)
{
    current_.reset();
    touched_.clear();
    finish(true, end_lsn);
}

void SnapshotWindow::retry()
{
    open_ = false;
    current_.reset();
    touched_.clear();
    finish(false, {});
}

void SnapshotWindow::finish(bool published, Lsn end_lsn)
{
    std::scoped_lock lock(mutex_);
    if (chunk_ && !outcome_) {
        outcome_ = Outcome{published, end_lsn, session_.load()};
        changed_.notify_all();
    }
}

} // namespace keyshift::cdc
