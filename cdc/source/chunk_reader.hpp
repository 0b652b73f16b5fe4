#pragma once
/// Reads a range of a table's rows, those that meet the part's condition, in chunks. Each chunk is one short COPY with a
/// snapshot of its own, so no snapshot lives long.

#include "cdc/source/snapshot_chunk.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace keyshift::cdc {

/// The table is not what it was when its ranges were made: they must be made anew.
struct TableChanged : TransientError {
    using TransientError::TransientError;
};

/// What the ranges of a table rest on.
struct TableFacts {
    RowSnapshot snapshot;
    std::uint32_t blocks = 0;
    std::uint32_t filenode = 0;
    bool out_of_line = false; ///< something is stored in its TOAST table
    std::string shape;        ///< of the whole table: differs when its columns differ
};
/// Of a table and of one of its partitions that holds rows, or of a table that holds them itself. nullopt: there is no such
/// table, or the partition is none of its any more.
std::optional<TableFacts> table_facts(pg::Connection& connection, const QualifiedName& table,
                                      const std::optional<QualifiedName>& partition = {});

class ChunkReader {
public:
    ChunkReader(pg::Connection& connection, std::shared_ptr<const SnapshotSource> source, const std::string& condition,
                std::string shape);

    /// Reads rows from the front of `range` into the chunk and takes off the range what was read: nullopt when nothing is
    /// left. Throws TableChanged.
    void read(std::optional<SnapshotRange>& range, SnapshotChunk& chunk, std::stop_token stop);
    /// List of the key's columns for SQL.
    const std::string& key_columns() const { return key_columns_; }
    /// ONLY "schema"."table"
    std::string from(const SnapshotRange& range) const;

private:
    struct Cut {};
    TableChanged changed() const;
    std::string by_place(const SnapshotRange& range, std::uint32_t end) const;
    std::string by_key(const SnapshotRange& range) const;
    std::string key_literal(const RowKey& key) const;
    /// False: it was cut off, the rows so far are whole.
    bool copy(const std::string& sql, SnapshotChunk& chunk, bool labelled, std::stop_token stop);
    void take_places(std::optional<SnapshotRange>& range, SnapshotChunk& chunk, std::uint32_t end, std::uint32_t blocks,
                     bool whole);
    void take_keys(std::optional<SnapshotRange>& range, SnapshotChunk& chunk, bool whole);
    RowKey key_of(const SnapshotChunk& chunk, std::size_t number) const;

    pg::Connection& connection_;
    std::shared_ptr<const SnapshotSource> source_;
    const std::string shape_;
    std::string columns_;
    std::string condition_; ///< SQL of type boolean
    std::string key_columns_;
    std::vector<std::string> key_types_;
    std::size_t limit_;    ///< rows of a chunk by key
    std::uint32_t blocks_; ///< of a chunk by place
};

} // namespace keyshift::cdc
