#pragma once
/// Reads one leaf's rows, those that meet the part's condition, in chunks. By key each chunk is a short statement that
/// begins after the last key, so no snapshot lives long and a restart goes on where it was. Without a key the whole leaf is
/// one cursor in one snapshot.

#include "cdc/source/snapshot_chunk.hpp"
#include "cdc/source/snapshot_work.hpp"
#include "core/pg/connection.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

class ChunkReader {
public:
    ChunkReader(pg::Connection& connection, std::shared_ptr<const TableSchema> table, const Relation& relation,
                const SnapshotPart& part);

    /// Fills rows and snapshot. False: these were the last rows.
    bool read(SnapshotChunk& chunk);
    /// Key of the last row of the chunk read last; nullopt without rows or key.
    std::optional<std::vector<std::string>> last_key() const { return last_key_; }
    /// Read the same chunk again (with a newer snapshot).
    void go_back() { last_key_ = previous_key_; }

private:
    pg::Result by_key(SnapshotChunk& chunk);
    pg::Result by_cursor(SnapshotChunk& chunk);
    void adapt(const pg::Result& rows);

    pg::Connection& connection_;
    std::shared_ptr<const TableSchema> table_;
    std::string columns_;
    std::string source_;
    std::string condition_; ///< SQL of type boolean
    std::string key_columns_;
    std::string key_parameters_;
    std::optional<std::vector<std::string>> last_key_;
    std::optional<std::vector<std::string>> previous_key_;
    int limit_;
    std::optional<pg::Transaction> cursor_;
    RowSnapshot cursor_snapshot_;
};

} // namespace keyshift::cdc
