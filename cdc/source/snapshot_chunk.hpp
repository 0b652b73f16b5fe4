#pragma once
/// A part of a table's existing rows on its way into the topic, and the snapshot it was read in.

#include "cdc/source/change.hpp"
#include "core/pg/connection.hpp"
#include "core/schema.hpp"

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

struct SnapshotChunk {
    std::string id;
    std::shared_ptr<const TableSchema> table;
    std::shared_ptr<const Relation> relation; ///< columns of the rows, in order
    std::string group;
    BucketId bucket{};
    bool keyed = true;  ///< false: rows have no key, none can be superseded in the window
    bool first = false; ///< of the table on this node
    bool last = false;
    bool again = false; ///< asked for by `keyshift cdc snapshot`, not the table's initial snapshot
    std::optional<pg::Result> rows;
    RowSnapshot snapshot;
};

} // namespace keyshift::cdc
