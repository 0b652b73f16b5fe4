#pragma once
/// Which rows are still to be read into their topic: keyshift.snapshot of one node, and its progress.

#include "cdc/source/snapshot_range.hpp"
#include "core/error.hpp"
#include "core/ids.hpp"
#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::cdc {

/// The rows of one bucket of one table.
struct SnapshotPart {
    std::int64_t table_id = 0;
    QualifiedName table; ///< the root
    QualifiedName leaf;  ///< where the rows are; the root itself when not distributed
    std::string group;
    BucketId bucket{};
    bool owned = true; ///< false: the bucket is another node's, nothing is read here
    /// What is left to be read; nullopt: it was not begun.
    std::optional<std::vector<SnapshotRange>> ranges;
    bool begun = false; ///< some of its rows are in the topic
    /// SQL: the rows that meet it are read once more; nullopt: the initial snapshot.
    std::optional<std::string> condition;
    std::string filter;       ///< SQL: the rows that have events at all
    std::string requested_at; ///< tells one request from the next for the same rows

    std::pair<std::int64_t, std::uint32_t> id() const { return {table_id, number(bucket)}; }
};

/// How far a part has come since it was saved last.
struct PartProgress {
    std::int64_t rows = 0;                ///< more in Kafka
    std::int64_t chunks = 0;              ///< more in Kafka
    std::optional<std::int64_t> estimate; ///< of all its rows, when it was just begun
    std::vector<SnapshotRange> left;
};

/// Parts that are to be read, by table and bucket.
std::vector<SnapshotPart> unfinished_parts(pg::Connection& catalog, const std::string& node);
/// Persists how far a part has come; done when nothing is left. False: it is wanted no more (cancelled, removed).
bool save_progress(pg::Connection& catalog, const std::string& node, const SnapshotPart& part,
                   const PartProgress& progress);
/// The table's rows cannot be read: its parts on this node are not tried again.
void save_failure(pg::Connection& catalog, const std::string& node, const SnapshotPart& part, const ErrorParts& error);

} // namespace keyshift::cdc
