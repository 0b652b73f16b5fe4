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

/// What the chunks of one table's snapshot on one node share.
struct SnapshotTable {
    bool again = false; ///< asked for by `keyshift cdc snapshot`, not the table's initial snapshot
    /// A row of it is in the topic, or its beginning is announced.
    std::atomic<bool> begun = false;
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
    SnapshotRange range; ///< what was read: read again when the chunk must be
    bool last = false;   ///< nothing of the table on this node is left to be read
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
