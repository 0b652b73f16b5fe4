#pragma once
/// A part of a table's existing rows on its way into the topic, and the snapshot it was read in.

#include "cdc/source/change.hpp"
#include "cdc/source/moved_rows.hpp"
#include "cdc/source/row_batch.hpp"
#include "cdc/source/snapshot_range.hpp"
#include "core/schema.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

/// pg_current_snapshot() of the rows.
struct RowSnapshot {
    std::uint32_t xmin = 0;
    std::uint32_t xmax = 0;
    std::vector<std::uint32_t> in_progress;

    /// Reads "xmin:xmax:xip,xip"; keeps the low 32 bits, as the stream has them.
    static std::optional<RowSnapshot> parse(std::string_view text);
    /// True: the snapshot shows what this committed transaction wrote.
    bool shows(std::uint32_t xid) const;
};

/// What the initial snapshots that are under way at the same time on one node share: Debezium would call them one.
struct SnapshotRun {
    std::atomic<bool> row_out = false; ///< one of its rows is in a topic
    std::atomic<int> left = 0;         ///< as SnapshotTable has it, of all its tables
};

/// What the chunks of one table's snapshot on one node share.
struct SnapshotTable {
    bool again = false; ///< asked for by `keyshift cdc snapshot`, not the table's initial snapshot
    std::shared_ptr<SnapshotRun> run;
    /// A row of it is in the topic, or its beginning is announced.
    std::atomic<bool> begun = false;
    std::atomic<bool> row_out = false; ///< one of its rows is in the topic
    std::atomic<int> left = 0;         ///< Unpublished ones: parts to be read and chunks under way
};

/// Counts, while it lives, as something of a table that is not in the topic.
class Unpublished {
public:
    Unpublished() = default;
    explicit Unpublished(std::shared_ptr<SnapshotTable> of);
    Unpublished(Unpublished&& other) noexcept = default;
    Unpublished& operator=(Unpublished&& other) noexcept;
    ~Unpublished() { reset(); }

    explicit operator bool() const { return of_ != nullptr; }
    void reset();

private:
    std::shared_ptr<SnapshotTable> of_;
};

/// The columns and the identity of the rows of one part of a table. Immutable.
struct SnapshotSource {
    std::shared_ptr<const TableSchema> table;
    std::shared_ptr<const Relation> relation; ///< columns of the rows, in order
    std::string group;
    BucketId bucket{};

    bool keyed() const { return !table->key.empty(); } ///< false: rows have no key, none can be superseded
};

struct SnapshotChunk {
    std::string id;
    std::shared_ptr<const SnapshotSource> source;
    std::shared_ptr<SnapshotTable> of;
    Unpublished unpublished; ///< until it is in the topic with nothing to be read again
    SnapshotRange range;     ///< what was read: read again when the chunk must be
    RowBatch rows;
    RowSnapshot snapshot;

    /// What became of it. Guarded by SnapshotWindows.
    enum class Fate {
        pending,
        published, ///< handed to the publisher
        again      ///< to be read again
    };
    Fate fate = Fate::pending;
    std::uint64_t records = 0;  ///< published: in Kafka once the publisher has delivered so many
    std::uint64_t session = 0;  ///< published: counts only if delivered in this session of the stream
    std::size_t row_count = 0;  ///< rows read
    std::vector<RowKey> partly; ///< published: keys whose newest event lacks values, to be read again
    MovedRows::Taken moved;     ///< published: rows that were elsewhere, to be read again too
};

} // namespace keyshift::cdc
