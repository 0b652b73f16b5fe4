#pragma once
/// Where the snapshot's chunks meet the stream. A chunk is read between two marker messages in the WAL. From the low marker
/// on the stream notes every key of the chunk's table and bucket that it publishes a change of; once the high marker has
/// come the chunk's rows are published except those keys: their events are in the topic already and are newer (Netflix'
/// DBLog; docs/architecture.md). Chunks overlap freely, and the rows of one go out in slices between later events: its
/// window stays open until its last row is out.
///
///   worker:    expect -> low marker -> rows (one snapshot) -> fill -> high marker, the next chunk's low marker ...
///   stream:              low: open ... changes ...                    high: rows without touched keys ... published
///   snapshotter:                                                                     fate, acknowledged -> progress
///
/// A chunk is read again when the stream reconnected meanwhile, when a TRUNCATE came between, or when the rows' snapshot
/// lacks a transaction that the stream had published before the low marker (committed in the WAL, not yet visible). A row
/// whose newest event lacks values (unchanged TOAST) is read again by its key.

#include "cdc/source/delivered_transactions.hpp"
#include "cdc/source/snapshot_chunk.hpp"

#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

namespace keyshift::cdc {

class SnapshotWindows {
public:
    // The snapshot's threads.
    void expect(const std::shared_ptr<SnapshotChunk>& chunk);
    /// Rows and snapshot are in the chunk; from here on the stream's thread may read it.
    void fill(const std::shared_ptr<SnapshotChunk>& chunk);
    /// The chunk could not be read, or its fate has been taken note of.
    void forget(const std::shared_ptr<SnapshotChunk>& chunk);
    SnapshotChunk::Fate fate(const SnapshotChunk& chunk) const;
    /// Waits until the rows that are read and not yet published leave room for more. False: stop.
    bool wait_room(std::stop_token stop) const;
    bool room() const;
    /// All of this table's chunks are published: the stream is to say so.
    void end(const std::shared_ptr<const SnapshotSource>& source);
    bool ends_pending() const;
    /// Changes with every connection of the stream: a fate of an earlier one is worth nothing unless acknowledged then.
    std::uint64_t session() const { return session_.load(); }

    // The stream's thread.
    void session_started();
    bool open() const { return !open_.empty(); }
    void low(const std::string& id, const DeliveredTransactions& delivered);
    /// Notes the keys of a change, when a chunk of its table and bucket is open.
    void note(const TableSchema& table, BucketId bucket, const Change& change);
    /// Notes a row whose key changed, when its event lacks values. For tables whose existing rows are being read, whether a
    /// chunk is open or not. `commit`: of its transaction.
    void note_moved(const TableSchema& table, BucketId bucket, const Change& change, Lsn commit);
    MovedRows& moved() { return moved_; }
    /// The chunk to publish from now on; nullptr: none, or it is read again.
    std::shared_ptr<SnapshotChunk> high(const std::string& id, const DeliveredTransactions& delivered);
    enum class Row { publish, leave_out };
    /// Of a chunk that high() returned.
    Row judge(SnapshotChunk& chunk, const Tuple& row);
    /// False: what is left of the chunk must not be published, it is read again.
    bool valid(const SnapshotChunk& chunk) const;
    /// All but a row of the chunk is out: its bytes no longer keep others waiting.
    void free_room(const SnapshotChunk& chunk);
    void published(const std::shared_ptr<SnapshotChunk>& chunk, std::uint64_t records);
    void again(const std::shared_ptr<SnapshotChunk>& chunk);
    /// Every chunk that is under way is read again.
    void all_again();
    std::vector<std::shared_ptr<const SnapshotSource>> take_ends();

private:
    struct Touch {
        std::uint64_t stamp = 0;
        bool partly = false; ///< the event lacks values
    };
    /// The keys of one table and bucket that were touched while chunks of it are open.
    struct Touched {
        QualifiedName root;
        BucketId bucket{};
        std::unordered_map<std::string, Touch> keys;
        int windows = 0;
    };
    struct Window {
        std::shared_ptr<SnapshotChunk> chunk;
        std::list<Touched>::iterator touched;
        std::uint64_t opened = 0; ///< stamp; earlier touches are of no concern
        std::uint64_t delivered_before = 0;
        bool spoiled = false;
    };
    using Open = std::map<const SnapshotChunk*, Window>;

    void spoil(const Touched& touched);
    void make_room(Touched& touched);
    void close(Open::iterator window);
    void settle(SnapshotChunk& chunk, SnapshotChunk::Fate fate, std::uint64_t records);

    mutable std::mutex mutex_;
    mutable std::condition_variable_any changed_;
    std::map<std::string, std::shared_ptr<SnapshotChunk>> known_; ///< by id
    std::map<const SnapshotChunk*, std::size_t> filled_;          ///< bytes of rows not yet published
    std::size_t bytes_ = 0;                                       ///< sum of filled_
    std::vector<std::shared_ptr<const SnapshotSource>> ends_;
    std::atomic<std::uint64_t> session_ = 0;

    MovedRows moved_;

    // The stream's thread only.
    Open open_;
    std::list<Touched> touched_;
    std::uint64_t stamp_ = 0;
};

} // namespace keyshift::cdc
