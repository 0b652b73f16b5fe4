#pragma once
/// Where the snapshot's chunks meet the stream. A chunk is read between two marker messages in the WAL; the stream notes
/// every key of that bucket changed between them, and at the high marker publishes the chunk's rows except those keys: their
/// events have been published already and are newer (Netflix' DBLog; docs/architecture.md).
///
///   snapshotter: expect -> low marker -> rows (one snapshot) -> fill -> high marker -> wait
///   stream:                 low: open window ... changes ... high: rows without touched keys, then done
///
/// A chunk is tried again when the stream reconnected meanwhile, when a TRUNCATE came between, or when the rows' snapshot
/// lacks a transaction that the stream had published before the low marker (committed in the WAL, not yet visible).

#include "cdc/source/delivered_transactions.hpp"
#include "cdc/source/snapshot_chunk.hpp"
#include "core/lsn.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_set>

namespace keyshift::cdc {

class SnapshotWindow {
public:
    struct Outcome {
        bool published = false; ///< false: try again
        Lsn end_lsn;            ///< acknowledged up to here: the chunk is in Kafka
        std::uint64_t session = 0;
    };

    // The snapshotter's thread.
    void expect(std::shared_ptr<SnapshotChunk> chunk);
    /// Rows and snapshot are in the chunk; from here on the stream's thread may read it.
    void fill();
    Outcome wait(std::stop_token stop);
    /// Changes with every connection of the stream: an outcome of an earlier one is worth nothing unless acknowledged then.
    std::uint64_t session() const { return session_.load(); }

    // The stream's thread.
    void session_started();
    bool open() const { return open_; }
    void low(const std::string& id, const DeliveredTransactions& delivered);
    /// Notes the keys of a change, when it is of the chunk's table and bucket.
    void note(const TableSchema& table, BucketId bucket, const Change& change);
    /// The chunk to publish now; nullptr: none, or it must be tried again. Closes the window.
    std::shared_ptr<SnapshotChunk> high(const std::string& id, const DeliveredTransactions& delivered);
    /// Of the chunk that high() returned: its row's key was changed in the window.
    bool superseded(const SnapshotChunk& chunk, const Tuple& row) const;
    void published(Lsn end_lsn);
    void retry();

private:
    bool note_key(const TableSchema& table, const Tuple& row);
    void finish(bool published, Lsn end_lsn);

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::shared_ptr<SnapshotChunk> chunk_;
    bool filled_ = false;
    std::optional<Outcome> outcome_;
    std::atomic<std::uint64_t> session_ = 0;

    // The stream's thread only.
    bool open_ = false;
    bool spoiled_ = false;
    std::shared_ptr<SnapshotChunk> current_;
    std::unordered_set<std::string> touched_;
    std::uint64_t delivered_before_ = 0;
};

} // namespace keyshift::cdc
